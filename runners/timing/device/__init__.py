"""The state of the device while it is timed: clocks, throttling, other load.

Public: `watch.watch`, `watch.DeviceWatch`, `nvml.open_gpu`.
"""
