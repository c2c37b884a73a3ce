"""Predict on several devices: the same files as one device writes, each image once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, cycle
from pathlib import Path

import torch

from runners.evaluation.decode import batches_of
from runners.evaluation.encode import encode_lines
from runners.evaluation.files import Lines, PredictionKey
from runners.evaluation.predict import find_all, write_predictions
from runners.system.ahead import in_order
from runners.system.helper_process import HelperProcess
from runners.system.join_ranks import check_devices, device_of
from yolact_bench.build import build_detector, build_network
from yolact_bench.data import open_dataset
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.spec.run import Run
from yolact_bench.weights.load import load_weights

_AHEAD = 3  # batches that wait in each process


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionInput:
    """A detector and the images it is to see, as another process opens them."""

    run: Run
    file: Path  # of its weights
    data: DatasetSpec
    split: str


def predict_sharded(
    source: PredictionInput,
    folder: Path,
    key: PredictionKey,
    *,
    batch_size: int,
    device: str,
    devices: int,
    title: str,
) -> Path:
    """Return `folder` with the predictions of a source, as `predict` would leave them there.

    A process for each device takes every `devices`-th batch. Batches hold the same images as on
    one device, so that they round alike, and are written in the order of the images.

    Raises:
        SpecError: the machine has fewer devices.
        ArmError: an image cannot be read, or a process died; then no file is left.
    """
    check_devices(device, devices)
    source = replace(source, data=source.data.portable())
    threads = max(1, torch.get_num_threads() // devices)
    with ExitStack() as stack:
        workers = [stack.enter_context(HelperProcess()) for _ in range(devices)]
        for number, worker in enumerate(workers):
            worker.send_new(_Predictor, source, device_of(device, number), threads)
        for worker in workers:
            worker.receive()
        lines = _lines(workers, batches_of(key.num_images, batch_size))
        write_predictions(lines, folder, key, batch_size=batch_size, title=title)
    return folder


def _lines(workers: Sequence[HelperProcess], batches: Sequence[range]) -> Iterator[Lines]:
    """Return the lines of each image in order; each worker is a few batches ahead."""

    def waits() -> Iterator[Callable[[], list[Lines]]]:
        for worker, batch in zip(cycle(workers), batches, strict=False):
            worker.send_to_owned(_Predictor.predict, batch)
            yield worker.receive

    return chain.from_iterable(in_order(waits(), ahead=_AHEAD * len(workers) - 1))


class _Predictor:
    """A detector and a data set in a helper process."""

    def __init__(self, source: PredictionInput, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        network = build_network(source.run, initial=False)
        load_weights(network, source.file, classes=source.run.classes)
        self._detector = build_detector(source.run, network, device=device)
        self._dataset = open_dataset(source.data, source.split)

    def predict(self, batch: range) -> list[Lines]:
        """Return the lines of each image of a batch."""
        detections = find_all(self._detector, self._dataset, batch, len(batch))
        return list(encode_lines(detections, self._dataset.category_ids))
