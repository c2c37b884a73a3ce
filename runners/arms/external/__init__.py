"""Rows measured by other programs: run their command, read their results."""
