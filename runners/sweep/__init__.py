"""Optuna sweeps over arms.

Public: `check_sweep`, `run_sweep`, `confirm`.
"""
