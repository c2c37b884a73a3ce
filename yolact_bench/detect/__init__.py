"""From predictions to detections. Face: `DetectionHead`, `Found`, `NMS`, `RESCORERS`."""
