"""Optuna sweeps over arms.

Public: `check.check_sweep`, `flow.run_sweep`, `confirm.confirm`.
"""
