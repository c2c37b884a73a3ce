"""Presentation: records become tables, figures and pages. Loads no torch.

Public: `compare.compare.compare`, `figures.draw.draw`, `pages.build.build`,
`summary.aggregate.summarise`, `sweeps.build.build_sweep`.
"""
