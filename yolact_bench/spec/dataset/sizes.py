"""How many images published data sets have, so that what is not on this machine can be planned."""

from collections.abc import Mapping

# Source: Lin et al., Microsoft COCO, 2017 splits (cocodataset.org); Hariharan et al., Semantic
# Contours (ICCV 2011), the splits that dbolya/yolact converts to COCO's format.
PUBLISHED_SIZES: Mapping[str, Mapping[str, int]] = {
    "coco": {"train": 118_287, "val": 5_000},
    "sbd": {"train": 8_498, "val": 2_857},
}
