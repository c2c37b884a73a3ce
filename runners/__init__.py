"""Execution: training, evaluation, timing and storage of records; disk, devices and processes."""
