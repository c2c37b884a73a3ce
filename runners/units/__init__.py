"""One arm with one seed, and where its work happens; nothing is done here.

Public: `unit.Unit`, `unit.Work`, `workplace.Workplace`, `check.check`, `resolve.resolve_unit`.
"""
