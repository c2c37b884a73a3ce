"""Pages of sweeps.

Public: `build`.
"""
