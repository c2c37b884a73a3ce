"""Fast NMS by Triton kernels against Fast NMS class by class: interpreted, or on a GPU."""

import logging
import re
from dataclasses import replace
from functools import partial
from types import ModuleType

import pytest
import torch
from torch import Tensor

from tests.support.nms_scenes import clustered_logits
from tests.support.triton_kernels import (
    DEVICES,
    INTERPRETED,
    assert_interpreted_tests_pass,
    device_or_skip,
    stack_bytes,
)
from yolact_bench.detect.graph.choice import MaskInputs
from yolact_bench.detect.graph.fixed import FixedDetection
from yolact_bench.detect.kernels.choose_fast import choose_fast
from yolact_bench.detect.nms import NMS, kernel_form
from yolact_bench.detect.nms.fast import fast_nms_per_class
from yolact_bench.detect.pipeline import DetectionHead
from yolact_bench.detect.rescore import RESCORERS
from yolact_bench.geometry.boxes import decode, to_cxcywh
from yolact_bench.geometry.masks import ASSEMBLIES
from yolact_bench.shapes import Predictions, Selection, map_tensors
from yolact_bench.slots import fact, form_of, options_of

K = 5  # values of a coefficient row; the first is the number of its anchor
ON_EACH = pytest.mark.parametrize("device_name", DEVICES)


def raw_of(boxes: Tensor, logits: Tensor) -> Predictions:
    """Raw predictions that decode to the boxes exactly: they are the anchors.

    As parts of one row of each anchor, so that none of them is contiguous.
    """
    images, anchors, columns = logits.shape
    generator = torch.Generator().manual_seed(0)
    number = torch.arange(anchors).expand(images, anchors)[..., None]
    others = torch.rand(images, anchors, K - 1, generator=generator)
    zeros = torch.zeros(images, anchors, 4)
    row = torch.cat([zeros, logits.float(), number, others], -1)
    regressions, class_logits, coefficients = row.split([4, columns, K], -1)
    return Predictions(
        boxes=regressions,
        class_logits=class_logits,
        coefficients=coefficients,
        prototypes=torch.rand(images, 3, 3, K, generator=generator),
        anchors=to_cxcywh(boxes),
        semantic=None,
    )


def tied(seed: int, *, images: int = 1, anchors: int = 300, classes: int = 12) -> Predictions:
    """Scenes of 40 different rows of logits, each of many anchors: most scores are tied."""
    boxes, _ = clustered_logits(anchors, 6, anchors // 8, classes=classes, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(images, 40, classes + 1, generator=generator) * 3
    which = torch.randint(0, 40, (images, anchors), generator=generator)
    return raw_of(boxes, rows.gather(1, which[..., None].expand(-1, -1, classes + 1)))


def wanted(raw: Predictions, image: int, **options: float) -> Selection:
    boxes = decode(raw.boxes[image], raw.anchors)
    return fast_nms_per_class(boxes, raw.class_logits[image].float().softmax(-1)[:, 1:], **options)


def assert_rows_of(chosen: MaskInputs, image: int, want: Selection) -> int:
    """Rows are the first of those wanted, and all where they are exact; how many they are."""
    count = int((chosen.scores[image] > 0).sum())
    assert chosen.labels[image, :count].tolist() == want.label[:count].tolist()
    anchor = chosen.coefficients[image, :count, 0].long()
    assert anchor.tolist() == want.anchor[:count].tolist()
    assert torch.allclose(chosen.scores[image, :count].cpu(), want.score[:count], rtol=1e-5)
    for part in (chosen.boxes, chosen.scores, chosen.labels, chosen.coefficients):
        assert bool((part[image, count:] == 0).all())
    if chosen.exact[image]:
        assert count == len(want.score)
    return count


def check(raw: Predictions, device: str, *, pairs: int = 2048, **options: float) -> list[bool]:
    """Compare all images; which of them are exact."""
    choose = partial(choose_fast, **options)  # type: ignore[arg-type]
    chosen = choose(map_tensors(raw, lambda tensor: tensor.to(device)), pairs=pairs)
    for image in range(len(raw.class_logits)):
        assert_rows_of(chosen, image, wanted(raw, image, **options))
    exact: list[bool] = chosen.exact.tolist()
    return exact


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is what that test starts")
def test_the_kernels_pass_in_the_interpreter() -> None:
    assert_interpreted_tests_pass(__file__, 20)


@ON_EACH
@pytest.mark.parametrize("images", [1, 2, 9])
def test_interpreted_ties_keep_their_order(device_name: str, images: int) -> None:
    """By class, then by anchor. 61 × 12 pairs: all of them compete, none is cut off."""
    raw = tied(images, images=images, anchors=61)
    assert check(raw, device_or_skip(device_name)) == [True] * images


@ON_EACH
@pytest.mark.parametrize("values", [torch.bfloat16, torch.float16])
def test_interpreted_halves_are_read_as_they_are(device_name: str, values: torch.dtype) -> None:
    """Of 250 anchors, whose numbers bfloat16 can hold."""
    raw = tied(3, anchors=250)
    parts = ("boxes", "class_logits", "coefficients", "prototypes")
    raw = replace(raw, **{part: getattr(raw, part).to(values) for part in parts})
    assert check(raw, device_or_skip(device_name), max_detections=20) == [True]


@ON_EACH
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pairs", [37, 300, 2048])
def test_interpreted_rows_of_a_cut_are_the_first(device_name: str, seed: int, pairs: int) -> None:
    """300 × 12 pairs, more than any capacity here; among the best 37 there are no 50 to keep."""
    raw = tied(seed, images=2)
    exact = check(raw, device_or_skip(device_name), pairs=pairs, max_detections=50)
    assert not (pairs == 37 and any(exact))
    assert pairs != 2048 or all(exact)


@ON_EACH
def test_interpreted_scenes_of_a_trained_detector_are_exact(device_name: str) -> None:
    """30 objects of 40 anchors: 1,200 anchors compete in 20 classes, and 100 rows are filled."""
    boxes, logits = clustered_logits(1500, 30, 40, classes=20)
    assert check(raw_of(boxes, logits[None]), device_or_skip(device_name)) == [True]


@ON_EACH
@pytest.mark.parametrize("options", [{"top_k": 2}, {"max_iou": 0.1}, {"min_score": 0.6}])
def test_interpreted_options_mean_the_same(device_name: str, options: dict[str, float]) -> None:
    assert check(tied(5, anchors=150), device_or_skip(device_name), **options) == [True]


@ON_EACH
def test_interpreted_nothing_competes(device_name: str) -> None:
    raw = tied(0)
    sure = torch.zeros_like(raw.class_logits)
    sure[..., 0] = 30
    assert check(replace(raw, class_logits=sure), device_or_skip(device_name)) == [True]


@ON_EACH
def test_interpreted_few_detections_leave_rows_empty(device_name: str) -> None:
    """Two anchors compete, in 3 classes and apart from each other: 6 of 100 rows."""
    boxes = torch.tensor([[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.8, 0.8], [0.1, 0.1, 0.3, 0.4]])
    logits = torch.tensor([[[0.0, 1, 2, 3], [0, 3, 2, 1], [30, 0, 0, 0]]])
    raw = raw_of(boxes, logits)
    chosen = choose_fast(map_tensors(raw, lambda x: x.to(device_or_skip(device_name))))
    assert assert_rows_of(chosen, 0, wanted(raw, 0)) == 6
    assert bool(chosen.exact)


@ON_EACH
def test_interpreted_a_nan_takes_its_anchor_out_or_overlaps_none(device_name: str) -> None:
    """One NaN or infinite logit makes all probabilities NaN; a NaN box is kept whatever is near."""
    raw = tied(7, anchors=90)
    logits, boxes = raw.class_logits.clone(), raw.boxes.clone()
    logits[0, 3, 0], logits[0, 20, 5] = float("nan"), float("inf")
    boxes[0, 5, 2], boxes[0, 40, 0] = float("nan"), float("nan")
    raw = replace(raw, class_logits=logits, boxes=boxes)
    assert check(raw, device_or_skip(device_name)) == [True]


@ON_EACH
def test_interpreted_an_overlap_of_exactly_the_limit_is_kept(device_name: str) -> None:
    """Boxes 2 × 1 and 1 × 1: IoU 0.5 exactly, which is not above 0.5, but is above 0.49."""
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.25], [0.0, 0.0, 0.25, 0.25]])
    raw = raw_of(boxes, torch.tensor([[[0.0, 3.0], [0.0, 2.0]]]))
    device = device_or_skip(device_name)
    on_device = map_tensors(raw, lambda x: x.to(device))
    for max_iou, count in ((0.5, 2), (0.49, 1)):
        chosen = choose_fast(on_device, max_iou=max_iou)
        assert assert_rows_of(chosen, 0, wanted(raw, 0, max_iou=max_iou)) == count


@ON_EACH
def test_interpreted_more_equal_pairs_than_fit_are_not_exact(device_name: str) -> None:
    """2,100 anchors of one score in one class: no part of them is taken, so no row is wrong."""
    boxes, _ = clustered_logits(2100, 0, 0)
    raw = raw_of(boxes, torch.tensor([0.0, 4.0]).expand(1, 2100, 2))
    assert check(raw, device_or_skip(device_name)) == [False]


@ON_EACH
def test_interpreted_a_pair_of_probability_0_is_not_exact(device_name: str) -> None:
    """exp(-200) is 0 in float32: such a pair would look like an empty row."""
    boxes = torch.tensor([[0.0, 0.0, 0.5, 0.25]])
    raw = raw_of(boxes, torch.tensor([[[0.0, 200.0, 0.0]]]))
    device = device_or_skip(device_name)
    chosen = choose_fast(map_tensors(raw, lambda x: x.to(device)))
    assert [bool(chosen.exact), int((chosen.scores > 0).sum())] == [False, 1]


@ON_EACH
def test_interpreted_detection_is_detection(device_name: str) -> None:
    """Choice, masks and scores as of the whole detector step by step."""
    device = device_or_skip(device_name)
    boxes, logits = clustered_logits(200, 6, 12, classes=20, seed=4)
    raw = map_tensors(raw_of(boxes, logits[None]), lambda tensor: tensor.to(device))
    head = DetectionHead(
        nms=NMS["fast"],
        assembly=ASSEMBLIES["linear_combination"](),
        rescorer=RESCORERS["none"],
        rescore_net=None,
    )
    form, kernels = form_of(head.nms, "fixed"), kernel_form(head.nms, device, 200, 20)
    assert form is not None
    assert kernels is not None
    masks = fact(head.assembly, "kernels")
    found = FixedDetection(head, form, choose=kernels, assemble=masks)(raw)
    expected = head.find(raw, 0, height=90, width=120)
    count = len(expected)
    assert bool(found.exact)
    assert torch.equal(found.labels[0, :count], expected.labels)
    assert torch.allclose(found.boxes[0, :count], expected.boxes, atol=1e-6)
    assert torch.allclose(found.soft_masks[0, :count], expected.soft_masks, atol=1e-5)


def test_the_kernels_have_the_options_of_the_nms() -> None:
    ours, theirs = options_of(choose_fast), options_of(NMS["fast"])
    assert {option: ours[option] for option in theirs} == theirs


@pytest.mark.parametrize(
    ("name", "device", "sizes", "words"),
    [
        ("fast", "cpu", (100, 80), "need a CUDA device, not cpu"),
        ("fast", "cuda", (100, 2000), "take 1023 classes and here are 2000"),
        ("fast", "cuda", (2**28, 80), "2\\^31 pairs"),
        ("sequential", "cuda", (100, 80), "sequential_nms .* no kernels of its own"),
    ],
)
@pytest.mark.skipif(INTERPRETED, reason="interpreted, any device will do")
def test_where_kernels_do_not_run_a_note_says_so(
    name: str,
    device: str,
    sizes: tuple[int, int],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("triton")
    with caplog.at_level(logging.WARNING):
        assert kernel_form(NMS[name], device, *sizes) is None
    (record,) = caplog.records
    assert re.search(words, record.getMessage())
    caplog.clear()
    assert kernel_form(partial(NMS["fast"], top_k=3), "cuda", 19248, 80) is not None
    assert not caplog.records


@pytest.fixture(scope="module")
def kernels() -> dict[str, object]:
    pytest.importorskip("triton")
    if INTERPRETED:
        pytest.skip("interpreted kernels are not compiled")
    from yolact_bench.detect.kernels import fast_pairs, fast_rows

    modules: tuple[ModuleType, ...] = (fast_pairs, fast_rows)
    return {name: kernel for module in modules for name, kernel in vars(module).items()}


@pytest.mark.parametrize("name", ["count_scores", "collect_pairs", "mark_kept", "write_rows"])
@pytest.mark.parametrize("in_order", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_kernels_compile_for_a_gpu_that_is_not_here(
    name: str,
    in_order: bool,
    kernels: dict[str, object],
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As they are launched for 80 classes in bf16; nothing is spilled."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = {
        **dict.fromkeys(("logits_ptr", "regressions_ptr", "coefficients_ptr"), "*bf16"),
        **dict.fromkeys(("bins_ptr", "counters_ptr", "rows_ptr"), "*i32"),
        **dict.fromkeys(("key_ptr", "kept_ptr", "labels_ptr"), "*i64"),
        **dict.fromkeys(("min_score", "max_iou"), "fp32"),
        "exact_ptr": "*i8",
    }
    numbers: dict[str, object] = {"anchors_block": 16, "columns_block": 128, "capacity": 2048}
    numbers |= {"own_block": 8, "others_block": 256, "coefficients_block": 32}
    numbers |= {"lc": 1, "rs": 1, "ck": 1, "tanh": not in_order}
    numbers |= {"rows_ptr": None} if in_order else {}
    names: list[str] = kernels[name].arg_names  # type: ignore[attr-defined]
    own = {option: value for option, value in numbers.items() if option in names}
    assert stack_bytes(kernels[name], types, own, enable_fp_fusion=name == "count_scores") == 0
