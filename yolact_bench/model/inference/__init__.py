"""The network as inference runs it. Face: `InferenceNetwork`, `fold_batch_norm`."""
