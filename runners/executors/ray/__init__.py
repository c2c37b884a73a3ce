"""Jobs on a Ray cluster.

Public: `executor.RayExecutor`.
"""
