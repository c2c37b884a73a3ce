"""The state of the device while it is timed: clocks, throttling, other load."""
