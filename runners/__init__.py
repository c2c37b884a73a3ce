"""Doing: command line, experiments, training, measuring. Owns disk, devices and time."""
