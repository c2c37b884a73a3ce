"""Sweep specs: the search space and the objective.

Public: `sweep.SweepSpec`, `sweep.load_sweep`, `keys.Objective`.
"""
