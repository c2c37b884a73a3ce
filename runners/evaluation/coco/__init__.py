"""COCO average precision: one index of the annotations, three engines.

Public: `score.score`, `score.SCORING`, `score.summary`.
"""
