"""The work directory: its lock, its contents, what may be deleted."""
