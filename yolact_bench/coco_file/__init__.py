"""COCO annotation files as people have them: what can be used, what was mended, what is refused.

Public: `entry.read_entry`, `images.read_images`, `labels.read_labels`, `objects.ObjectReader`.
"""
