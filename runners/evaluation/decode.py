"""Images of a data set, decoded ahead in threads."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from yolact_bench.data.protocol import Dataset

Image = NDArray[np.uint8]  # RGB [H, W, 3]


def decoded_batches(
    dataset: Dataset, indices: Sequence[int], *, size: int, threads: int = 1
) -> Iterator[list[tuple[int, Image]]]:
    """Yield index and image of `size` images at a time, in order; the last may be fewer.

    Raises:
        ArmError: an image that cannot be read.
    """
    batch: list[tuple[int, Image]] = []
    for index, image in _decoded_ahead(dataset, indices, ahead=2 * size, threads=threads):
        batch.append((index, image))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _decoded_ahead(
    dataset: Dataset, indices: Sequence[int], *, ahead: int, threads: int
) -> Iterator[tuple[int, Image]]:
    """Yield index and image in order, while threads decode the next `ahead` images or more."""
    waiting: deque[tuple[int, Future[Image]]] = deque()
    reader = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode")
    try:
        for index in indices:
            waiting.append((index, reader.submit(dataset.image, index)))
            if len(waiting) > max(ahead, threads):
                first, image = waiting.popleft()
                yield first, image.result()
        while waiting:
            first, image = waiting.popleft()
            yield first, image.result()
    finally:
        # After an unreadable image, or a caller that stopped early, nothing more is read.
        reader.shutdown(cancel_futures=True)
