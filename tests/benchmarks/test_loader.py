"""Images a second from file to batch on one core, and where the time goes."""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks.alternating import compare
from tests.benchmarks.loader_images import drawn_photographs, real_photographs
from tests.benchmarks.plain_augmentation import plain_ssd
from yolact_bench.data import Dataset
from yolact_bench.data.augment import ssd
from yolact_bench.data.augment.view import seen_image, seen_target, whole_image
from yolact_bench.data.batch import TrainingData
from yolact_bench.data.collate import (
    Batch,
    collate,
    collate_to_send,
    join_in_shared_memory,
)
from yolact_bench.data.protocol import Augmentation
from yolact_bench.shapes import Sample

SIZE, MASK_SIZE, BATCH = 550, 138, 8
FILL = (123.68, 116.78, 103.94)


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(params=["drawn", "real"])
def photographs(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Dataset]:
    """A data set, and what to call it."""
    if request.param == "drawn":
        return "drawn photographs", drawn_photographs(tmp_path)
    real = real_photographs()
    if real is None:
        pytest.skip("no COCO subset at hand")
    return "COCO photographs", real


def loading(dataset: Dataset, augment: Augmentation) -> Callable[[], Batch]:
    """Return what loads the next batch, from the first image on and round again."""
    data = TrainingData(dataset, augment, size=SIZE, mask_size=MASK_SIZE, fill=FILL, seed=0)
    places = itertools.count()

    def load() -> Batch:
        keys = [divmod(next(places), len(dataset)) for _ in range(BATCH)]
        samples = [data[key] for key in keys]
        return collate([sample for sample in samples if isinstance(sample, Sample)])

    return load


def test_images_a_second_on_one_core(
    benchmark: BenchmarkFixture, photographs: tuple[str, Dataset]
) -> None:
    name, dataset = photographs
    arms = {
        "reference": loading(dataset, plain_ssd),
        "masks at network size": loading(dataset, partial(ssd, masks="network_size")),
        "masks at prototype size": loading(dataset, partial(ssd, masks="prototype_size")),
        "colours left alone": loading(
            dataset, partial(ssd, masks="prototype_size", photometric=0.0)
        ),
    }
    assert all(len(arm()) == BATCH for arm in arms.values())
    compare(
        benchmark,
        f"loader, {name}",
        arms,
        reference="reference",
        target=300.0,
        moonshot=440.0,
        threads=1,
        items=BATCH,
        rate="images/s",
    )


def test_a_batch_from_a_worker_to_the_training(
    benchmark: BenchmarkFixture, photographs: tuple[str, Dataset]
) -> None:
    """Put together and, where masks are bits, unpacked again: in a worker and in the training."""
    name, dataset = photographs
    samples = [
        _augmented(dataset.image(index), dataset.objects(index), index, "network_size")
        for index in range(min(len(dataset), 3 * BATCH))
    ]
    groups = [samples[i : i + BATCH] for i in range(0, len(samples), BATCH)]
    ways: dict[str, Callable[[list[Sample]], Batch]] = {
        "masks as bytes": lambda group: collate(group, join_in_shared_memory),
        "masks as bits": lambda group: collate_to_send(group).to("cpu"),
    }
    masks = [send(groups[0]).targets.objects.masks for send in ways.values()]
    assert torch.equal(*masks)

    def in_turn(send: Callable[[list[Sample]], Batch]) -> Callable[[], Batch]:
        turn = itertools.cycle(groups)
        return lambda: send(next(turn))

    arms = {way: in_turn(send) for way, send in ways.items()}
    compare(
        benchmark,
        f"a batch of {BATCH} sent, {name}",
        arms,
        reference="masks as bytes",
        threads=1,
        items=BATCH,
        rate="images/s",
    )


@pytest.mark.parametrize("mask_side", [SIZE, MASK_SIZE])
def test_where_the_time_of_loading_goes(
    benchmark: BenchmarkFixture, photographs: tuple[str, Dataset], mask_side: int
) -> None:
    """CPU ms an image: the median of rounds over the same images, stage after stage."""
    name, dataset = photographs
    count = min(len(dataset), 24)
    images = [dataset.image(index) for index in range(count)]
    objects = [dataset.objects(index) for index in range(count)]
    masks = "network_size" if mask_side == SIZE else "prototype_size"
    samples = [_augmented(images[i], objects[i], i, masks) for i in range(count)]
    stages: dict[str, Callable[[int], object]] = {
        "decode": dataset.image,
        "augment and rasterise": lambda i: _augmented(images[i], objects[i], i, masks),
        "rasterise": lambda i: seen_target(
            objects[i],
            np.arange(len(objects[i])),
            objects[i].boxes_px,
            whole_image(objects[i].height, objects[i].width),
            mask_side,
        ),
        "warp": lambda i: seen_image(
            images[i], whole_image(objects[i].height, objects[i].width), SIZE, FILL
        ),
        "copy": lambda i: collate(samples[i : i + 1]),
    }
    taken: dict[str, list[float]] = {stage: [] for stage in stages}

    def session() -> None:
        for _ in range(2 if benchmark.disabled else 15):
            for stage, work in stages.items():
                start = time.process_time_ns()
                for index in range(count):
                    work(index)
                taken[stage].append((time.process_time_ns() - start) / 1e6 / count)

    benchmark.pedantic(session, rounds=1)
    split = {stage: round(median(ms), 3) for stage, ms in taken.items()}
    benchmark.extra_info.update({"split": f"{name}, masks of {mask_side}", "cpu_ms": split})
    assert split.keys() == stages.keys()


def _augmented(image: object, objects: object, seed: int, masks: str) -> Sample:
    rng = np.random.default_rng(seed)
    return ssd(image, objects, rng, SIZE, MASK_SIZE, FILL, masks=masks)  # type: ignore[arg-type]
