"""Optuna sweeps over arms.

Public: `run_sweep`, `SweepRequest`.
"""
