"""From the network's predictions to detections."""
