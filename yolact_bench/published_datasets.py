"""Facts of the published data sets: class names in label order, and sizes."""

from collections.abc import Mapping

# fmt: off
COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)
PASCAL_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)
# fmt: on
SHAPES_CLASSES = ("disc", "square", "triangle", "star", "ring")

# Images by split, so that what is not on this machine can be planned.
# Source: Lin et al., Microsoft COCO, 2017 splits (cocodataset.org); Hariharan et al., Semantic
# Contours (ICCV 2011), the splits that dbolya/yolact converts to COCO's format.
PUBLISHED_SIZES: Mapping[str, Mapping[str, int]] = {
    "coco": {"train": 118_287, "val": 5_000},
    "sbd": {"train": 8_498, "val": 2_857},
}
