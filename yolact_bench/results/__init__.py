"""What was found: typed records and the append-only store. Loads no torch."""
