"""Presentation: records become tables, figures and pages. Loads no torch."""
