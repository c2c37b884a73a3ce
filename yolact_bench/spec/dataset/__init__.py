"""Data set specs: files, classes and sizes."""
