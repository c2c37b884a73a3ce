"""Matching anchors to objects, and the terms of the training loss."""
