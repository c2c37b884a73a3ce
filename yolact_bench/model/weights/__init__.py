"""Weights from outside: released checkpoints and state files."""
