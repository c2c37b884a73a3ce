"""Pages of sweeps.

Public: `build.build_sweep`, `build.check_sweep`.
"""
