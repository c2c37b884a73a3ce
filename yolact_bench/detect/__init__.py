"""From predictions to detections.

Public: `pipeline.DetectionHead`, `pipeline.SoftDetections`, `nms.NMS`, `rescore.RESCORERS`.
"""
