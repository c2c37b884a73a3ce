"""What a command would do and what it costs.

Public: `make_plan`, `estimate`, `simulate`.
"""
