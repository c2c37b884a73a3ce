"""What to run: runs, presets, ablations and data sets as written down. Loads no torch.

Public: `run.Run`, `presets.preset`, `ablation.load`, `ablation.Ablation`, `sweep.sweep.load_sweep`.
"""
