"""What a command would do and what it costs.

Public: `make_plan`, `estimate`, `make_suite`, `plan_sweep`, `simulate`.
"""
