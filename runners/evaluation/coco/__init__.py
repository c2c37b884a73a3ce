"""COCO average precision: one index of the annotations, three engines."""
