"""Records as rows: means over seeds, differences, sessions, caveats. No text, no drawing.

Public: `aggregate.summarise`, `aggregate.Summary`, `arm_rows.ArmRow`, `timings.Timing`.
"""
