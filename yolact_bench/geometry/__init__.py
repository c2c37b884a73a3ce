"""Functions of tensors that model, losses and detection share.

Public: `anchors.ANCHORS`, `masks.ASSEMBLIES`, `boxes`, `run_lengths`, `text_areas`.
"""
