"""Whether a difference between two arms is real: resampled images, seeds, many tests.

Public: `difference`, `holm`, `resampled_ap`, `paired_ratio`, `median_interval`. Loads no torch.
"""
