"""The command line: options and rendering.

Public: `main.main`.
"""
