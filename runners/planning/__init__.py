"""What a command would do and what it costs.

Public: `plan.make_plan`, `cost.estimate`, `suite.make_suite`, `sweep.plan_sweep`,
`simulation.simulate`.
"""
