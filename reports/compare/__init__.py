"""Two work directories or reports side by side.

Public: `compare.compare`, `compare.lines`.
"""
