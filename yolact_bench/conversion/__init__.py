"""Data sets of other programs, read and written as COCO annotation files; sets cut into splits.

Public: `convert.FORMATS`, `convert.convert`, `cut.cut`.
"""
