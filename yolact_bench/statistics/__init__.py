"""Whether a difference between two arms is real: resampled images, seeds, many tests.

Public: `difference.difference`, `difference.holm`, `bootstrap.resampled_ap`, `timing.paired_ratio`,
`timing.median_interval`, `quantile.quantile`. Loads no torch.
"""
