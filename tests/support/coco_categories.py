"""The category ids of COCO."""

# COCO numbers its 80 categories 1 to 90; these numbers are unused.
_COCO_GAPS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
COCO_CATEGORY_IDS = tuple(number for number in range(1, 91) if number not in _COCO_GAPS)
