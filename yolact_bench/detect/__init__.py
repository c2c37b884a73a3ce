"""From predictions to detections.

Public: `pipeline.DetectionHead`, `pipeline.Found`, `nms.NMS`, `rescore.RESCORERS`.
"""
