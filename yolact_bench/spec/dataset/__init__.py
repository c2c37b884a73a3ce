"""Data set specs: files, classes and sizes.

Public: `dataset.DatasetSpec`, `dataset.resolve_dataset`, `file.read_dataset_file`.
"""
