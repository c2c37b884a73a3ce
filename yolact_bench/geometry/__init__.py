"""Pure tensor functions that model, losses and detection share."""
