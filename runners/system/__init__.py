"""Leaves: processes, ranks, signals, the environment, exit codes."""
