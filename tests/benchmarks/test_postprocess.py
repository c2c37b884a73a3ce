"""NMS, and masks to run lengths, beside their plain forms."""

from functools import partial

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from tests.benchmarks.alternating import compare
from tests.benchmarks.plain_postprocess import (
    PlainKept,
    best_of_pairs,
    plain_batched_nms,
    plain_fast_nms,
    plain_run_lengths,
    sure_pairs,
)
from tests.support.nms_scenes import clustered_logits, scattered_scene
from tests.support.soft_masks import blobs_of_area
from yolact_bench.detect.candidates import candidate_rows
from yolact_bench.detect.image_candidates import likely_candidates
from yolact_bench.detect.nms import NMS
from yolact_bench.detect.nms.fast import fast_nms, fast_nms_per_class, fixed_fast_nms
from yolact_bench.geometry.boxes import decode, encode, to_cxcywh
from yolact_bench.geometry.run_lengths import mask_run_lengths
from yolact_bench.shapes import Predictions, Selection

CLASSES = 80


def clustered(anchors: int, objects: int = 50, per_object: int = 20) -> tuple[Tensor, Tensor]:
    """1000 candidates around 50 objects, in every class: nine of ten pairs are suppressed."""
    boxes, logits = clustered_logits(anchors, objects, per_object, classes=CLASSES)
    return boxes, logits.softmax(1)[:, 1:].contiguous()


SCENES = {
    "scattered": scattered_scene,
    "clustered": clustered,
    "few": partial(clustered, objects=8),
}
EVERY_SCENE = pytest.mark.parametrize("scene", SCENES)
EVERY_COUNT = pytest.mark.parametrize("anchors", [19_248, 57_744])


@EVERY_SCENE
@EVERY_COUNT
def test_fast_nms(benchmark: BenchmarkFixture, anchors: int, scene: str) -> None:
    boxes, scores = SCENES[scene](anchors)
    by_class = scores.T.contiguous()
    expected, kept = plain_fast_nms(boxes, by_class), fast_nms(boxes, scores)
    assert torch.equal(boxes[kept.anchor], expected.boxes)
    assert torch.equal(kept.label, expected.label)
    assert torch.equal(kept.score, expected.score)
    compare(
        benchmark,
        f"Fast NMS, {anchors} anchors, {scene} candidates",
        {
            "plain": lambda: plain_fast_nms(boxes, by_class),
            "best pairs": lambda: fast_nms(boxes, scores),
            "per class": lambda: fast_nms_per_class(boxes, scores),
        },
        reference="plain",
        target={"best pairs": 8},
        moonshot={"best pairs": 15},
        threads=1,
    )


@EVERY_SCENE
@EVERY_COUNT
def test_fast_nms_beside_torchvision(benchmark: BenchmarkFixture, anchors: int, scene: str) -> None:
    """Another rule, so other detections; but the best one is kept by both."""
    boxes, scores = SCENES[scene](anchors)
    greedy = plain_batched_nms(boxes, scores)
    assert torch.equal(greedy.score, NMS["sequential"](boxes, scores, grid_px=None).score)
    assert greedy.score[0] == fast_nms(boxes, scores).score[0]
    compare(
        benchmark,
        f"Fast NMS beside batched_nms, {anchors} anchors, {scene} candidates",
        {
            "batched_nms": lambda: plain_batched_nms(boxes, scores),
            "best pairs": lambda: fast_nms(boxes, scores),
        },
        reference="batched_nms",
        target=1,
        moonshot=2,
        threads=1,
    )


@EVERY_SCENE
def test_fast_nms_of_given_candidates_beside_torchvision(
    benchmark: BenchmarkFixture, scene: str
) -> None:
    """What is above 0.05 is known to both, as it is behind `pipeline.find`."""
    boxes, scores = SCENES[scene](19_248)
    pairs, rows = sure_pairs(boxes, scores), candidate_rows(scores, 0.05)
    few_boxes, few_scores = boxes[rows], scores[rows]
    assert torch.equal(fast_nms(few_boxes, few_scores).score, fast_nms(boxes, scores).score)
    compare(
        benchmark,
        f"Fast NMS beside batched_nms, candidates given, {scene}",
        {
            "batched_nms": lambda: best_of_pairs(*pairs),
            "best pairs": lambda: fast_nms(few_boxes, few_scores),
        },
        reference="batched_nms",
        target=1,
        moonshot=2,
        threads=1,
    )


def logits_of(scene: str, anchors: int) -> Predictions:
    """What the network puts out in such a scene, or untrained: no anchor is sure of anything."""
    objects = {"clustered": 50, "few": 8, "untrained": 0}[scene]
    boxes, logits = clustered_logits(anchors, objects, 20, classes=CLASSES)
    if scene == "untrained":
        logits = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    return Predictions(
        boxes=encode(boxes, to_cxcywh(boxes))[None],
        class_logits=logits[None],
        coefficients=torch.zeros(1, anchors, 32),
        prototypes=torch.zeros(1, 8, 8, 32),
        anchors=to_cxcywh(boxes),
        semantic=None,
    )


@pytest.mark.parametrize("scene", ["clustered", "few", "untrained"])
@EVERY_COUNT
def test_decoding_softmax_and_fast_nms(
    benchmark: BenchmarkFixture, anchors: int, scene: str
) -> None:
    raw = logits_of(scene, anchors)

    def plain() -> PlainKept:
        by_class = raw.class_logits[0].softmax(-1).T.contiguous()[1:]
        return plain_fast_nms(decode(raw.boxes[0], raw.anchors), by_class)

    def ours() -> Selection:
        candidates = likely_candidates(raw, 0, fast_nms)
        return fast_nms(candidates.boxes, candidates.probabilities)

    assert torch.equal(ours().score, plain().score)
    compare(
        benchmark,
        f"decode, softmax, Fast NMS, {anchors} anchors, {scene}",
        {"plain": plain, "ours": ours},
        reference="plain",
        threads=1,
    )


@pytest.mark.gpu
@EVERY_COUNT
def test_fixed_fast_nms_on_a_gpu(benchmark: BenchmarkFixture, anchors: int) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    boxes, scores = (part.cuda() for part in clustered(anchors))
    fixed, expected = fixed_fast_nms(boxes, scores), fast_nms_per_class(boxes, scores)
    assert bool(fixed.exact)
    assert torch.equal(fixed.selection().anchor, expected.anchor)

    def finished(form: object, *inputs: Tensor) -> None:
        assert callable(form)
        form(*inputs)
        torch.cuda.synchronize()

    compare(
        benchmark,
        f"Fast NMS on a GPU, {anchors} anchors",
        {
            "plain": lambda: finished(fast_nms_per_class, boxes, scores),
            "fixed": lambda: finished(fixed_fast_nms, boxes, scores),
            "fast": lambda: finished(fast_nms, boxes, scores),
        },
        reference="plain",
    )


@pytest.mark.parametrize("part", [0.028, 0.106])
@pytest.mark.parametrize("size", [(480, 640), (1080, 1920)])
def test_masks_to_run_lengths(
    benchmark: BenchmarkFixture, size: tuple[int, int], part: float
) -> None:
    soft = blobs_of_area(100, part)
    got, expected = mask_run_lengths(soft, *size), plain_run_lengths(soft, *size)
    assert sum(a != b for a, b in zip(got, expected, strict=True)) <= 1  # an exact tie
    compare(
        benchmark,
        f"100 masks → RLE, {size[1]}×{size[0]}, boxes of {part:.1%} of the image",
        {
            "plain": lambda: plain_run_lengths(soft, *size),
            "run lengths": lambda: mask_run_lengths(soft, *size),
        },
        reference="plain",
        target=10,
        moonshot=25,
        threads=1,
    )
