"""The flow of an ablation, from a plan to records.

Public: `flow.run_ablation`, `context.AblationContext`.
"""
