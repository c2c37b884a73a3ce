"""Rows that stay where the head left them: read there, or put in order, they are the same."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.support.recorders import Event, Recorder
from tests.support.small_detector import noise, small_detector
from tests.support.triton_kernels import (
    DEVICES,
    INTERPRETED,
    assert_interpreted_tests_pass,
    device_or_skip,
)
from tests.yolact_bench.detect.test_fast_kernels import assert_rows_of, tied, wanted
from yolact_bench.build import build_detector, build_network
from yolact_bench.detect.graph.choice import Choose
from yolact_bench.detect.graph.fixed import FixedDetection, FixedProgram
from yolact_bench.detect.kernels.choose_fast import choose_fast
from yolact_bench.detector import Detector
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import resolve_architecture
from yolact_bench.runtime.inductor import CompiledStage
from yolact_bench.runtime.recording import RecordedStep
from yolact_bench.runtime.runtime import GraphStep
from yolact_bench.shapes import HeadRows, Predictions, map_tensors
from yolact_bench.slots import form_of
from yolact_bench.spec.presets import preset
from yolact_bench.torch_internals import operator_graph

ON_A_CPU = pytest.mark.skipif(INTERPRETED, reason="the interpreter has tests of its own")
ON_EACH = pytest.mark.parametrize("device_name", DEVICES)


def inference(detector: Detector, *, leaves_rows: bool) -> InferenceNetwork:
    """The network as a GPU runs it."""
    assert isinstance(detector.network, Yolact)
    network = InferenceNetwork(detector.network, device="cuda")
    if leaves_rows:
        network.leave_rows()
    return network


def graphed(eager: Detector, device: str = "cpu", choose: Choose | None = None) -> Detector:
    """The detector as one recorded function, of a network that leaves its rows."""
    nms = form_of(eager.head.nms, "fixed")
    assert nms is not None
    detection = FixedDetection(eager.head, nms, choose=choose)

    def make(mean: Tensor, std: Tensor) -> GraphStep:
        program = FixedProgram(detection=detection, mean=mean, std=std)
        return RecordedStep(program, record=Recorder(), event=Event)

    return Detector(
        inference(eager, leaves_rows=True),
        head=eager.head,
        image_size=eager.image_size,
        classes=eager.classes,
        device=device,
        fixed=make,
    )


def scatter(raw: Predictions, *, tanh: bool) -> Predictions:
    """The same rows anywhere among as many others, whose scores would win."""
    anchors = raw.boxes.shape[1]
    number = torch.randperm(2 * anchors, generator=torch.Generator().manual_seed(0))[:anchors]

    def spread(values: Tensor, dim: int) -> Tensor:
        shape = list(values.shape)
        shape[dim] *= 2
        return values.new_full(shape, 7.0).index_copy(dim, number, values)

    parts = [raw.boxes, raw.class_logits, raw.coefficients]
    row = spread(torch.cat(parts, 2), 1)  # of a map: parts are views of it
    boxes, logits, coefficients = row.split([part.shape[2] for part in parts], 2)
    return replace(
        raw,
        boxes=boxes,
        class_logits=logits,
        coefficients=coefficients,
        anchors=spread(raw.anchors, 0),
        rows=HeadRows(number=number.int(), tanh=tanh),
    )


def move(raw: Predictions, device: str) -> Predictions:
    assert raw.rows is not None
    rows = replace(raw.rows, number=raw.rows.number.to(device))
    return replace(map_tensors(raw, lambda tensor: tensor.to(device)), rows=rows)


@ON_A_CPU
@pytest.mark.parametrize(
    "slots",
    [{}, {"anchors": {"name": "three_scales"}}, {"head": {"name": "shared", "activation": "none"}}],
    ids=["3 anchors", "9 anchors", "no activation"],
)
def test_rows_in_order_are_what_the_head_gives_otherwise(slots: dict[str, object]) -> None:
    """Until then they are views of one map."""
    detector = small_detector(**slots)
    x = torch.randn(2, 3, 72, 72)
    raw = inference(detector, leaves_rows=True)(x)
    got, expected = raw.in_order(), inference(detector, leaves_rows=False)(x)
    assert expected.rows is None is got.rows
    for part in ("boxes", "class_logits", "coefficients", "anchors"):
        torch.testing.assert_close(getattr(got, part), getattr(expected, part))
    where = {x.untyped_storage().data_ptr() for x in (raw.boxes, raw.class_logits)}
    assert len(where | {raw.coefficients.untyped_storage().data_ptr()}) == 1


def levels() -> list[Tensor]:
    """As `yolact_tiny` has them of 72 pixels."""
    maps = (torch.randn(2, 64, side, side) for side in (9, 5, 3, 2, 1))
    return [one.to(memory_format=torch.channels_last) for one in maps]


@pytest.mark.slow
@ON_A_CPU
def test_a_compiled_head_leaves_the_same_rows_in_one_piece() -> None:
    head, maps = inference(small_detector(), leaves_rows=True).head, levels()
    found = CompiledStage(head, name="head")(maps)
    assert isinstance(found, tuple)
    for got, expected in zip(found, head(maps), strict=True):
        torch.testing.assert_close(got, expected)
        assert got.untyped_storage().data_ptr() == found[0].untyped_storage().data_ptr()


@ON_A_CPU
def test_nothing_puts_the_levels_behind_one_another() -> None:
    made = {}
    for leaves_rows in (False, True):
        head = inference(small_detector(), leaves_rows=leaves_rows).head
        graph = operator_graph(lambda *maps, head=head: head(maps), levels())
        made[leaves_rows] = str(graph.graph)
    for operator in ("aten.cat", "aten.tanh"):
        assert operator in made[False]
        assert operator not in made[True]
    assert "aten.clone" not in made[True]


@ON_A_CPU
@pytest.mark.parametrize("exact", [True, False])
def test_a_detection_without_kernels_puts_the_rows_in_order(
    exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its fixed numbers were too small, the detector finds again in what the graph left."""
    eager = small_detector()
    graph = graphed(eager)
    if not exact:
        monkeypatch.setattr(
            "yolact_bench.detect.graph.fixed.state_of",
            lambda scores, exact: torch.stack([(scores > 0).sum(1), 0 * exact.long()], 1),
        )
    assert_found_alike(graph, eager)
    assert graph.find([noise()])[0].exact is exact
    raw = graph.predict(torch.randn(1, 3, 72, 72))
    assert raw.rows is None


def assert_found_alike(ours: Detector, eager: Detector) -> None:
    (found,), (expected,) = ours.find([noise()]), eager.find([noise()])
    assert len(expected) == 100
    assert torch.equal(found.labels.cpu(), expected.labels)
    for part in ("boxes", "scores", "soft_masks"):
        got = getattr(found, part).cpu()
        assert torch.allclose(got, getattr(expected, part), atol=1e-5), part


@ON_A_CPU
@pytest.mark.parametrize(
    ("changes", "leaves"),
    [
        ({"runtime": {"name": "cuda_graph"}}, True),
        ({"runtime": {"name": "cuda_graph"}, "nms": {"name": "sequential"}}, False),
        ({"runtime": {"name": "compiled"}}, False),
        ({}, False),
    ],
)
def test_rows_are_left_for_an_nms_that_reads_them(changes: dict[str, object], leaves: bool) -> None:
    pytest.importorskip("triton")
    run = resolve_architecture(preset("yolact_tiny").changed(changes))
    with torch.device("meta"):
        network = build_network(run, initial=False)
    program = build_detector(run, network, device="meta").network
    assert (program.rows is not None) is leaves  # type: ignore[attr-defined]


@pytest.mark.slow
@ON_A_CPU
def test_the_kernels_pass_in_the_interpreter() -> None:
    assert_interpreted_tests_pass(__file__, 5)


@ON_EACH
@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("values", [torch.float32, torch.bfloat16])
def test_interpreted_kernels_read_rows_where_they_lie(
    device_name: str, images: int, values: torch.dtype
) -> None:
    """Ties keep the order of the anchors, whatever that of their rows. 61 is exact in bfloat16."""
    device = device_or_skip(device_name)
    raw = tied(images, images=images, anchors=61)
    parts = ("boxes", "class_logits", "coefficients")
    raw = replace(raw, **{part: getattr(raw, part).to(values) for part in parts})
    chosen = choose_fast(move(scatter(raw, tanh=False), device))
    for image in range(images):
        assert assert_rows_of(chosen, image, wanted(raw, image)) > 20
    assert chosen.exact.all()


@ON_EACH
def test_interpreted_coefficients_get_their_activation(device_name: str) -> None:
    """From 0 over a few to 60, beyond which the tangent is 1."""
    device = device_or_skip(device_name)
    raw = tied(3, anchors=61)
    raw = replace(raw, coefficients=raw.coefficients * torch.tensor([1.0, -1, 3, 1e-3, 0]))
    plain = choose_fast(map_tensors(raw, lambda tensor: tensor.to(device)))
    chosen = choose_fast(move(scatter(raw, tanh=True), device))
    assert torch.equal(chosen.boxes, plain.boxes)
    torch.testing.assert_close(chosen.coefficients, plain.coefficients.tanh(), rtol=0, atol=2e-7)


@ON_EACH
def test_interpreted_a_detector_of_rows_finds_what_eager_finds(device_name: str) -> None:
    device = device_or_skip(device_name)
    eager = small_detector()
    kernels = form_of(eager.head.nms, "kernels")
    assert_found_alike(graphed(eager, device, kernels), eager)
