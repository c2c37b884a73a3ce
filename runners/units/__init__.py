"""One arm with one seed, and where its work happens; nothing is done here.

Public: `Unit`, `Workplace`, `check`, `resolve_unit`.
"""
