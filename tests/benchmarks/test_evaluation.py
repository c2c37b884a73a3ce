"""Evaluation beside its plain form: pycocotools, and masks encoded where they are found."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from runners.evaluation.coco.score import SCORING, score
from runners.evaluation.encode import Encoders, encode_lines
from runners.evaluation.files import Lines
from tests.benchmarks.alternating import compare
from tests.support.coco_like import CLASSES, coco_like, names_of
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.geometry.masks import crop
from yolact_bench.results.record import ApSummary
from yolact_bench.statistics.matches import load_matches

KINDS = ("bbox", "segm")


def test_coco_scoring(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """100 images, 480×640, 7 objects and 100 detections each, from entries to AP and matches."""
    truth, boxes, masks = coco_like(20 if benchmark.disabled else 100)
    names = names_of(truth)

    def scored(scoring: str) -> tuple[ApSummary, ...]:
        return tuple(
            score(
                truth,
                entries,
                kind=kind,  # type: ignore[arg-type]
                class_names=names,
                save_matches=tmp_path / f"{kind}-{scoring}.npz",
                scoring=scoring,
            )
            for kind, entries in zip(KINDS, (boxes, masks), strict=True)
        )

    plain = scored("pycocotools")
    for scoring in SCORING:
        for expected, found in zip(plain, scored(scoring), strict=True):
            assert found.ap == pytest.approx(expected.ap, abs=1e-12)
        for kind in KINDS:
            ours, theirs = (
                load_matches(tmp_path / f"{kind}-{engine}.npz")
                for engine in (scoring, "pycocotools")
            )
            assert np.array_equal(ours.matched, theirs.matched)
            assert np.array_equal(ours.ignored, theirs.ignored)
    compare(
        benchmark,
        "COCO scoring, boxes and masks",
        {scoring: partial(scored, scoring) for scoring in SCORING},
        reference="pycocotools",
        target=6.0,
        rounds=10,
        threads=1,
    )


def found_in_one_image() -> SoftDetections:
    """100 detections of COCO's sizes at 550 pixels."""
    random = np.random.default_rng(0)
    size = np.exp(random.normal(-2.0, 0.8, (100, 2))).clip(0.02, 0.9)
    corner = random.uniform(0, 1, (100, 2)) * (1 - size)
    boxes = torch.tensor(np.hstack([corner, corner + size]), dtype=torch.float32)
    smooth = torch.nn.functional.interpolate(
        torch.tensor(random.random((1, 100, 9, 9)), dtype=torch.float32), size=(138, 138)
    )[0]
    scores = torch.linspace(0.9, 0.1, 100)
    return SoftDetections(
        boxes=boxes,
        boxes_px=(boxes * torch.tensor([640.0, 480.0, 640.0, 480.0])).round(),
        scores=scores,
        mask_scores=scores,
        labels=torch.arange(100) % CLASSES,
        soft_masks=crop(smooth, boxes),
        height=480,
        width=640,
        mask_threshold=0.5,
    )


def test_encoding_the_detections_of_an_image(benchmark: BenchmarkFixture) -> None:
    """From soft masks to lines of both files. CPU time is that of the main process alone."""
    images = [(found_in_one_image(), number) for number in range(8)]
    category_ids = tuple(range(1, CLASSES + 1))

    def here() -> list[Lines]:
        return list(encode_lines(images, category_ids))

    def beside(encoders: Encoders) -> list[Lines]:
        return list(encode_lines(images, category_ids, encoders))

    with Encoders(1) as one, Encoders(2) as two:
        assert beside(one) == beside(two) == here()
        compare(
            benchmark,
            "detections to result lines, 100 masks an image",
            {
                "in the main process": here,
                "one process beside": partial(beside, one),
                "two processes beside": partial(beside, two),
            },
            reference="in the main process",
            threads=1,
            items=len(images),
        )
