"""Execution: training, evaluation, timing and storage of records; disk, devices and processes.

Public: `cli.main.main`, `ablation.flow.run_ablation`, `sweep.flow.run_sweep`.
"""
