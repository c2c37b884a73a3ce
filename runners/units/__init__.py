"""One arm with one seed, and where its work happens; nothing is done here.

Public: `unit.Unit`, `unit.ExternalUnit`, `workplace.Workplace`, `check.check`,
`check.resolve_unit`.
"""
