"""What tests share: fakes, fixtures and small cases."""
