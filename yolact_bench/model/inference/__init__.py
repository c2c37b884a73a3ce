"""The network as inference runs it.

Public: `fused.InferenceNetwork`, `fold.fold_batch_norm`.
"""
