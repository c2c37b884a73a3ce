"""Data set specs: files, splits and classes.

Public: `dataset.DatasetSpec`, `dataset.resolve_dataset`, `file.read_dataset_file`.
"""
