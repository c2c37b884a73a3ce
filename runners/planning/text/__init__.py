"""Plans as lines of text and as JSON.

Public: `ablation.plan_lines`, `ablation.plan_facts`, `suite.suite_lines`, `suite.suite_facts`,
`sweep.sweep_lines`, `sweep.sweep_facts`.
"""
