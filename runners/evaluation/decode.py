"""Images of a data set, decoded ahead in threads."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from runners.system.ahead import in_order
from yolact_bench.data.protocol import Dataset

Image = NDArray[np.uint8]  # RGB [H, W, 3]


def batches_of(num_images: int, size: int) -> list[range]:
    """Return the indices of each batch; an image's last bits depend on those beside it."""
    images = range(num_images)
    return [images[first : first + size] for first in images[::size]]


def decoded_batches(
    dataset: Dataset, indices: Sequence[int], *, size: int, threads: int = 1
) -> Iterator[list[tuple[int, Image]]]:
    """Yield index and image of `size` images at a time, in order; the last may be fewer.

    Raises:
        ArmError: an image that cannot be read.
    """
    reader = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode")
    try:
        waits = (reader.submit(dataset.image, index).result for index in indices)
        images = zip(indices, in_order(waits, ahead=max(2 * size, threads)), strict=True)
        while batch := list(islice(images, size)):
            yield batch
    finally:
        # After an unreadable image, or a caller that stopped early, nothing more is read.
        reader.shutdown(cancel_futures=True)
