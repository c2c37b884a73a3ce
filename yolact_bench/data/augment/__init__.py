"""What happens to an image before training sees it.

Public: `AUGMENTATIONS`.
"""

from collections.abc import Mapping

from yolact_bench.data.augment.plain import mirror, resize_only
from yolact_bench.data.augment.ssd import ssd
from yolact_bench.data.protocol import Augmentation

AUGMENTATIONS: Mapping[str, Augmentation] = {
    "ssd": ssd,
    "mirror": mirror,
    "none": resize_only,
}
