"""Predict on several devices: the same files as one device writes, each image once."""

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from runners.evaluation.decode import decoded_batches
from runners.evaluation.encode import lines_of
from runners.evaluation.files import is_complete
from runners.evaluation.lines import Lines
from runners.evaluation.predict import write_predictions
from runners.system.helper_process import HelperProcess
from runners.system.ranks import check_devices, device_of
from yolact_bench.build import build_detector, build_network, load_weights
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.detector import Detector
from yolact_bench.errors import ArmError
from yolact_bench.spec.dataset.dataset import DatasetSpec
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)

_AHEAD = 3  # batches that each process has been asked for

# Of a process that predicts for another one: its detector and data set, between two calls.
_here: dict[str, tuple[Detector, Dataset]] = {}


def predict_sharded(
    run: Run,
    data: DatasetSpec,
    split: str,
    dataset: Dataset,
    folder: Path,
    *,
    file: Path,
    weights: str,
    batch_size: int,
    device: str,
    devices: int,
    title: str,
) -> Path:
    """Return `folder` with the predictions on `dataset`, as `predict` would leave them there.

    A process for each device takes every `devices`-th batch. Batches hold the same images as on
    one device, so that they round alike, and are written in the order of the images.

    Raises:
        SpecError: fewer devices than that.
        ArmError: an image that cannot be read, or a process died; then no file is left.
    """
    check_devices(device, devices)
    num_images, digest = len(dataset), run.detect_digest
    if is_complete(folder, digest=digest, weights=weights, num_images=num_images):
        return folder
    batches = [
        range(num_images)[first : first + batch_size] for first in range(0, num_images, batch_size)
    ]
    with ExitStack() as stack:
        workers = [stack.enter_context(HelperProcess()) for _ in range(devices)]
        threads = max(1, torch.get_num_threads() // devices)
        for number, worker in enumerate(workers):
            of_rank = device_of(device, number)
            worker.send(_open, run.as_dict(), data.portable(), split, str(file), of_rank, threads)
        for worker in workers:
            worker.receive()
        write_predictions(
            _lines(workers, batches),
            folder,
            digest=digest,
            weights=weights,
            num_images=num_images,
            batch_size=batch_size,
            title=title,
        )
    return folder


def _lines(workers: Sequence[HelperProcess], batches: Sequence[range]) -> Iterator[Lines]:
    """Yield the lines of each image in order; each worker is kept a few batches ahead."""
    waiting: deque[HelperProcess] = deque()
    asked = 0
    while asked < len(batches) or waiting:
        while asked < len(batches) and len(waiting) < _AHEAD * len(workers):
            worker = workers[asked % len(workers)]
            worker.send(_predict, list(batches[asked]))
            waiting.append(worker)
            asked += 1
        yield from waiting.popleft().receive()


def _open(
    run: Mapping[str, object],
    data: DatasetSpec,
    split: str,
    file: str,
    device: str,
    threads: int,
) -> None:
    """Make ready what `_predict` needs in this process."""
    torch.set_num_threads(threads)
    chosen = Run.from_dict(run)
    network = build_network(chosen, initial=False)
    load_weights(network, Path(file))
    _here["open"] = build_detector(chosen, network, device=device), open_dataset(data, split)


def _predict(indices: Sequence[int]) -> list[Lines]:
    detector, dataset = _here["open"]
    lines = []
    for batch in decoded_batches(dataset, indices, size=len(indices), threads=1):
        found = detector.find([image for _, image in batch])
        for (index, _), in_image in zip(batch, found, strict=True):
            lines.append(lines_of(in_image.cpu(), dataset.image_id(index), dataset.category_ids))
    if len(lines) != len(indices):
        raise ArmError("error", f"{len(lines)} of {len(indices)} images were predicted")
    return lines
