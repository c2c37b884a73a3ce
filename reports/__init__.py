"""Telling: records to tables, figures and pages. Loads no torch."""
