"""Rows as tables: every table of a page, its columns and its notes.

Public: `table.Table`, `table.Column`, `main.comparison`, `csv.csv_files`.
"""
