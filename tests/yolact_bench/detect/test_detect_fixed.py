"""Detection in fixed sizes: what `exact` promises, and that no value decides a shape."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.support.nms_scenes import Scene, clustered_logits, random_scene, scenes
from yolact_bench.detect.graph.fixed import FixedDetection, FixedDetections
from yolact_bench.detect.graph.pairs import FixedSelection
from yolact_bench.detect.image_candidates import candidates_of
from yolact_bench.detect.nms import NMS
from yolact_bench.detect.nms.fast import fast_nms_per_class
from yolact_bench.detect.pipeline import DetectionHead, SoftDetections
from yolact_bench.detect.protocols import Nms
from yolact_bench.detect.rescore import RESCORERS
from yolact_bench.geometry.boxes import encode, to_cxcywh
from yolact_bench.geometry.masks import ASSEMBLIES
from yolact_bench.model.rescore import MaskIouNet
from yolact_bench.shapes import Predictions, Selection
from yolact_bench.slots import fact, options_of
from yolact_bench.torch_internals import operator_graph

FIXED_NMS = {name: form for name, nms in NMS.items() if (form := fact(nms, "fixed"))}
EVERY = pytest.mark.parametrize("name", sorted(FIXED_NMS))
NAMES = st.sampled_from(sorted(FIXED_NMS))


def rows(kept: Selection | FixedSelection) -> list[tuple[int, int, float]]:
    """Anchor, label and score, without empty rows."""
    parts = (kept.anchor.tolist(), kept.label.tolist(), kept.score.tolist())
    return [row for row in zip(*parts, strict=True) if row[2] > 0]


@EVERY
def test_every_form_has_the_options_of_its_nms(name: str) -> None:
    ours, theirs = options_of(FIXED_NMS[name]), options_of(NMS[name])
    assert {option: ours[option] for option in theirs} == theirs
    assert "Source:" in (FIXED_NMS[name].__doc__ or "")


@settings(max_examples=150, deadline=None)
@given(
    name=NAMES,
    scene=scenes(),
    min_score=st.sampled_from([0.0, 0.05, 0.5]),
    max_iou=st.sampled_from([0.3, 0.5]),
    max_detections=st.sampled_from([1, 7, 100]),
    sizes=st.sampled_from([(4, 8), (20, 50), (1000, 1000)]),
)
def test_exact_rows_are_those_of_the_nms_and_others_are_its_first(
    name: str,
    scene: Scene,
    min_score: float,
    max_iou: float,
    max_detections: int,
    sizes: tuple[int, int],
) -> None:
    of_nms, of_form = options_of(NMS[name]), options_of(FIXED_NMS[name])
    anchors, pairs = sizes
    limits = {"anchors": anchors, "pairs": pairs, "spare": anchors}
    limits = {option: value for option, value in limits.items() if option in of_form}
    options = {"min_score": min_score, "max_iou": max_iou, "max_detections": max_detections}
    if "pairs" not in limits:  # the NMS itself bounds what competes
        options["top_k"] = pairs
    options = {option: value for option, value in options.items() if option in of_nms}
    expected = NMS[name](*scene, **options)
    fixed = FIXED_NMS[name](*scene, **options, **limits)
    found = rows(fixed)
    assert fixed.score.shape == (max_detections,)
    assert found == rows(expected)[: len(found)]
    assert (fixed.score[len(found) :] == 0).all()
    if fixed.exact:
        assert len(found) == len(expected.score)
        assert rows(fixed.selection()) == rows(expected)
    elif pairs == 1000:  # everything competes: then only a score of 0 can be undecided
        assert (expected.score == 0).any()


@EVERY
def test_a_batch_is_its_images(name: str) -> None:
    images = [random_scene(seed, 80, 3) for seed in range(3)]
    boxes, scores = (torch.stack(parts) for parts in zip(*images, strict=True))
    together = FIXED_NMS[name](boxes, scores)
    assert together.exact.shape == (3,)
    for index, image in enumerate(images):
        alone = FIXED_NMS[name](*image)
        for part in ("anchor", "label", "score", "exact"):
            assert torch.equal(getattr(together, part)[index], getattr(alone, part)), part


@pytest.mark.parametrize("name", ["fast", "sequential"])
def test_the_flag_says_no_where_too_few_pairs_were_looked_at(name: str) -> None:
    """120 equal boxes of one class and one far away, the worst: 2 are kept.

    Of the best 100 pairs only the first survives, and the one that is missing is not among them.
    """
    boxes = torch.tensor([[0.1, 0.1, 0.4, 0.4]]).repeat(121, 1)
    boxes[120] += 0.5
    scores = torch.linspace(0.9, 0.5, 121)[:, None]
    few, enough = (FIXED_NMS[name](boxes, scores, pairs=pairs) for pairs in (100, 200))
    assert [bool(few.exact), few.selection().anchor.tolist()] == [False, [0]]
    assert [bool(enough.exact), enough.selection().anchor.tolist()] == [True, [0, 120]]
    few, enough = (FIXED_NMS[name](boxes, scores, anchors=count) for count in (100, 200))
    assert [bool(few.exact), bool(enough.exact)] == [False, True]


def test_the_flag_says_no_where_a_chain_is_longer_than_the_rounds() -> None:
    """Each box overlaps the next by 0.3 / 0.5 only, so every second one stays: 20 of 40."""
    left = torch.arange(40) * 0.1
    boxes = torch.stack([left, torch.zeros(40), left + 0.4, torch.ones(40)], 1)
    scores = torch.linspace(0.9, 0.5, 40)[:, None]
    assert not FIXED_NMS["sequential"](boxes, scores, rounds=16).exact
    settled = FIXED_NMS["sequential"](boxes, scores, rounds=42)
    assert settled.exact
    assert settled.selection().anchor.tolist() == list(range(0, 40, 2))


def test_a_kept_score_of_nothing_is_not_taken_for_an_empty_row() -> None:
    """The anchor is a candidate by class 0, and Fast NMS lets it out as class 1 as well."""
    boxes, scores = torch.tensor([[0.1, 0.1, 0.4, 0.4]]), torch.tensor([[0.9, 0.0]])
    assert NMS["fast"](boxes, scores).score.tolist() == pytest.approx([0.9, 0.0])
    assert not FIXED_NMS["fast"](boxes, scores).exact
    assert FIXED_NMS["fast"](boxes, scores, max_detections=1).exact


def predictions(objects: int = 6, images: int = 2, *, side: int = 40) -> Predictions:
    """Two images, as a trained detector sees them, of 6 objects and of none."""
    boxes, logits = clustered_logits(900, objects, 12, classes=20, seed=4)
    _, nothing = clustered_logits(900, 0, 12, classes=20, seed=5)
    generator = torch.Generator().manual_seed(6)
    anchors = to_cxcywh(boxes.clamp(0, 1) + torch.tensor([0, 0, 0.02, 0.02]))
    return Predictions(
        boxes=encode(boxes, anchors)[None].repeat(images, 1, 1),
        class_logits=torch.stack([logits, nothing][:images]),
        coefficients=torch.randn(images, 900, 8, generator=generator).tanh(),
        prototypes=torch.randn(images, side, side, 8, generator=generator).relu(),
        anchors=anchors,
        semantic=None,
    )


def head_of(nms: Nms, rescore: str = "none") -> DetectionHead:
    net = None if rescore == "none" else MaskIouNet(20, 40, 8, 64, channels=(4, 8)).eval()
    return DetectionHead(
        nms=nms,
        assembly=ASSEMBLIES["linear_combination"](),
        rescorer=RESCORERS[rescore],
        rescore_net=net,
    )


def in_image(fixed: FixedDetections, index: int) -> SoftDetections:
    """The detections of an image of 90 × 120 that are not empty."""
    count = int((fixed.scores[index] > 0).sum())
    return fixed.detections(index, count, height=90, width=120, mask_threshold=0.5)


def assert_same(got: SoftDetections, expected: SoftDetections) -> None:
    for part in ("boxes", "boxes_px", "scores", "labels", "soft_masks"):
        assert torch.equal(getattr(got, part), getattr(expected, part)), part
    # Convolutions of 100 masks and of fewer are different programs.
    torch.testing.assert_close(got.mask_scores, expected.mask_scores, rtol=1e-5, atol=1e-7)
    assert (got.height, got.width) == (expected.height, expected.width)
    assert got.mask_threshold == expected.mask_threshold


@EVERY
@pytest.mark.parametrize("rescore", ["none", "mask_iou"])
@torch.inference_mode()
def test_fixed_detection_is_detection(name: str, rescore: str) -> None:
    raw, head = predictions(), head_of(NMS[name], rescore)
    fixed = FixedDetection(head, FIXED_NMS[name])(raw)
    assert fixed.exact.tolist() == [True, True]
    for image in range(2):
        expected = head.find(raw, image, height=90, width=120)
        assert_same(in_image(fixed, image), expected)
    assert len(in_image(fixed, 0)) >= 6
    assert len(in_image(fixed, 1)) == 0


@pytest.mark.parametrize("objects", [0, 1, 6, 30])
@torch.inference_mode()
def test_leaving_sure_background_out_before_the_softmax_changes_no_bit(objects: int) -> None:
    raw = predictions(objects, 1)
    for nms in (*NMS.values(), partial(NMS["fast"], min_score=0.3, max_detections=7)):
        head = head_of(nms)
        got = head.find(raw, 0, height=90, width=120)
        expected = head.detect(candidates_of(raw, 0), height=90, width=120)
        assert_same(got, expected)
        assert torch.equal(got.mask_scores, expected.mask_scores)


@EVERY
def test_no_step_asks_for_a_value(name: str) -> None:
    """Fake tensors have shapes and no values: whoever asks for one gets an exception."""
    raw = predictions()
    detection = FixedDetection(head_of(NMS[name], "mask_iou"), FIXED_NMS[name])

    def found(boxes: Tensor, logits: Tensor, coefficients: Tensor, prototypes: Tensor) -> Tensor:
        part = Predictions(
            boxes=boxes,
            class_logits=logits,
            coefficients=coefficients,
            prototypes=prototypes,
            anchors=raw.anchors.to(boxes.device),
            semantic=None,
        )
        return detection(part).mask_scores

    inputs = (raw.boxes, raw.class_logits, raw.coefficients, raw.prototypes)
    with torch.no_grad():
        graph = operator_graph(found, inputs, tracing_mode="fake", _allow_non_fake_inputs=True)
        torch.testing.assert_close(graph(*inputs), found(*inputs))
        # A constant of the host would have to be copied, which no captured graph can.
        assert "lift_fresh" not in graph.code


def test_a_plain_nms_asks_for_values() -> None:
    """So the tests above could fail: shapes of the plain form depend on values."""

    def selection(boxes: Tensor, scores: Tensor) -> Tensor:
        return NMS["fast"](boxes, scores).score

    with pytest.raises(RuntimeError, match="data-dependent"):
        operator_graph(selection, random_scene(0, 50, 3), tracing_mode="fake")


@pytest.mark.gpu
@EVERY
@torch.inference_mode()
def test_a_captured_graph_replays_the_detection_of_other_images(name: str) -> None:
    """Captured on an image of 6 objects, replayed on one of 3: a wait would fail the capture."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    head = head_of(NMS[name], "mask_iou")
    assert isinstance(head.rescore_net, nn.Module)
    head.rescore_net.cuda()
    detection = FixedDetection(head, FIXED_NMS[name])
    first, second = on_gpu(predictions()), on_gpu(predictions(3))
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        detection(first)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        fixed = detection(first)
    for part in ("boxes", "class_logits", "coefficients", "prototypes", "anchors"):
        getattr(first, part).copy_(getattr(second, part))
    graph.replay()
    for image in range(2):
        expected = head.find(second, image, height=90, width=120)
        got = in_image(fixed, image)
        assert fixed.exact[image]
        assert torch.equal(got.labels, expected.labels)
        assert torch.equal(got.scores, expected.scores)
        assert torch.equal(got.boxes, expected.boxes)
        torch.testing.assert_close(got.soft_masks, expected.soft_masks, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
def test_fast_nms_on_a_gpu_gives_the_same_detections() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    for objects in (0, 3, 60):
        boxes, logits = clustered_logits(3000, objects, 15)
        boxes, scores = boxes.cuda(), logits.softmax(1)[:, 1:].cuda()
        got, expected = NMS["fast"](boxes, scores), fast_nms_per_class(boxes, scores)
        for part in ("anchor", "label", "score"):
            assert torch.equal(getattr(got, part), getattr(expected, part))


def on_gpu(raw: Predictions) -> Predictions:
    moved = ("boxes", "class_logits", "coefficients", "prototypes", "anchors")
    return replace(raw, **{part: getattr(raw, part).cuda() for part in moved})
