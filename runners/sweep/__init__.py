"""Optuna sweeps over arms.

Public: `flow.check_sweep`, `flow.run_sweep`, `confirm.confirm`.
"""
