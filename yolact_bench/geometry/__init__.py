"""Functions of tensors that model, losses and detection share. Face: `ANCHORS`, `ASSEMBLIES`."""
