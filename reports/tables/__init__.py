"""Rows as tables: every table of a page, its columns and its notes."""
