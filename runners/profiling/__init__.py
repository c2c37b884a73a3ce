"""Where the time of one arm goes: operators, bytes and the ceilings of the device.

Public: `profile.profile_arm`, `ceilings.measure_ceiling`.
"""
