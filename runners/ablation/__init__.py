"""The flow of an ablation, from a plan to records.

Public: `run_ablation`, `AblationContext`.
"""
