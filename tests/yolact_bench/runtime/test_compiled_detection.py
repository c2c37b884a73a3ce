"""A compiled detector on a GPU: programs of fixed sizes, launched from C++, and what else it does.

A CPU stands for the GPU: the kind of device is an argument.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.support.small_detector import noise, small_detector
from tests.support.triton_kernels import (
    INTERPRETED,
    assert_interpreted_tests_pass,
    device_or_skip,
)
from yolact_bench.build import load_detector
from yolact_bench.detect.graph.fixed import call_directly
from yolact_bench.detector import Detector
from yolact_bench.recorded import RecordedForms, recorded_forms
from yolact_bench.runtime import inductor
from yolact_bench.runtime.compiled import compiled
from yolact_bench.runtime.inductor import PARTS, Compilation, CompiledStage
from yolact_bench.runtime.runtime import Runtime

RESCORED = {
    "rescore_net": {"name": "mask_iou", "channels": [8, 8]},
    "rescore": {"name": "mask_iou"},
}


def as_on_a_gpu(device_type: str = "cpu") -> Runtime:
    """The runtime, whose programs of fixed sizes are for this kind of device, uncompiled."""
    runtime = compiled()
    assert runtime.fixed_shapes is not None
    assert runtime.fixed_shapes.only_on == "cuda"
    shapes = replace(runtime.fixed_shapes, only_on=device_type, compile_part=call_directly)
    return replace(runtime, fixed_shapes=shapes)


def test_detection_follows_the_network_as_one_program_that_is_not_recorded() -> None:
    eager = small_detector(**RESCORED)
    assert eager.run is not None
    fixed = recorded_forms(eager.run, eager.head, as_on_a_gpu(), "cpu").fixed
    assert fixed is not None
    calls: list[object] = []
    ours = Detector(
        eager.network,
        head=replace(eager.head, nms=lambda *given: calls.append(given)),  # type: ignore[arg-type, return-value]
        image_size=eager.image_size,
        classes=eager.classes,
        fixed=fixed,
    )
    images = [noise(), noise(64, 120, seed=1)]
    for _ in range(2):  # nothing of one call is left in the next
        for found, wanted in zip(ours.find(images), eager.find(images), strict=True):
            assert len(wanted) == 100
            for part in ("labels", "boxes_px", "boxes", "scores", "soft_masks"):
                assert torch.equal(getattr(found, part), getattr(wanted, part)), part
            assert torch.allclose(found.mask_scores, wanted.mask_scores, atol=1e-5)
        images.reverse()
    assert not calls


def test_interpreted_photos_nms_and_masks_by_kernels_are_those_of_eager() -> None:
    """All of a GPU's way but for compilation: one block of photos, twice through the kernels."""
    device_or_skip("cpu")
    eager = small_detector()
    assert eager.run is not None
    forms = recorded_forms(eager.run, eager.head, as_on_a_gpu(), "cpu")
    assert forms.fixed is not None and forms.photos is not None
    ours = Detector(
        eager.network,
        head=eager.head,
        image_size=eager.image_size,
        classes=eager.classes,
        fixed=forms.fixed,
        photos=forms.photos,
    )
    images = [noise(), noise(64, 120, seed=1)]
    for _ in range(2):
        for found, wanted in zip(ours.find(images), eager.find(images), strict=True):
            assert found.exact
            assert torch.equal(found.labels, wanted.labels)
            assert torch.equal(found.boxes_px, wanted.boxes_px)
            for part in ("scores", "soft_masks"):
                assert torch.allclose(getattr(found, part), getattr(wanted, part), atol=1e-5), part
        images.reverse()


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="it runs the interpreter")
def test_the_kernels_of_a_compiled_detector_run_without_a_gpu() -> None:
    assert_interpreted_tests_pass("tests/yolact_bench/runtime/test_compiled_detection.py", least=1)


def test_on_a_cpu_a_compiled_detector_is_what_it_was() -> None:
    """Detections image by image: on one core that takes no longer, and it has all their bits."""
    detector = load_detector("yolact_tiny", image_size=72, runtime={"name": "compiled"})
    assert detector._fixed is None
    assert detector._of_photos is None
    assert detector.run is not None
    assert (
        recorded_forms(detector.run, detector.head, as_on_a_gpu("cuda"), "cpu") == RecordedForms()
    )


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"nms": {"name": "soft"}}, "nms: soft has no form of fixed sizes: detection follows"),
        (
            {"rescore_net": {"name": "mask_scoring"}, "rescore": {"name": "mask_iou"}},
            "rescore_net: mask_scoring looks at feature maps, so it has no form of fixed sizes: ",
        ),
    ],
)
def test_what_has_no_fixed_form_is_detected_image_by_image_with_a_note(
    changes: dict[str, object], note: str, caplog: pytest.LogCaptureFixture
) -> None:
    eager = small_detector(**changes)
    assert eager.run is not None
    with caplog.at_level(logging.WARNING):
        assert recorded_forms(eager.run, eager.head, as_on_a_gpu(), "cpu") == RecordedForms()
    assert note in caplog.text


def test_only_the_network_is_launched_from_c_plus_plus() -> None:
    """And only on a GPU. What follows it has few kernels."""
    detector = load_detector("yolact_tiny", image_size=72, runtime={"name": "compiled"})
    for name in PARTS:
        stage = getattr(detector.network, name)
        assert stage.how.cpp_launches_on == "cuda"
    assert detector.runtime.fixed_shapes is not None
    part = detector.runtime.fixed_shapes.compile_part(torch.relu, name="part")
    assert isinstance(part, CompiledStage)
    assert not part.how.cpp_launches_on


class Compiler:
    """Stands for torch.compile: notes how it was asked, and fails as it is told."""

    def __init__(self, fails: Callable[[dict[str, object]], bool]) -> None:
        self.fails = fails
        self.asked: list[bool] = []

    def __call__(
        self, recorded: nn.Module, *, options: dict[str, object], **_: object
    ) -> Callable[..., Sequence[Tensor]]:
        self.asked.append("cpp_wrapper" in options)
        if self.fails(options):
            raise RuntimeError("no header\nof many lines")
        return recorded


@pytest.mark.parametrize(
    ("probe", "builds", "asked", "note"),
    [
        ("", True, [True], ""),
        ("", False, [True, False], "RuntimeError: no header"),
        ("a small program does not compile", True, [False], "a small program does not compile"),
    ],
)
def test_a_stage_that_c_plus_plus_cannot_launch_is_launched_from_python_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    probe: str,
    builds: bool,
    asked: list[bool],
    note: str,
) -> None:
    compiler = Compiler(lambda options: "cpp_wrapper" in options and not builds)
    monkeypatch.setattr(torch, "compile", compiler)
    monkeypatch.setattr(inductor, "compiler_probe", lambda device, cpp_launches: probe)
    layer, x = nn.Conv2d(3, 4, 1), torch.randn(1, 3, 5, 5)
    with caplog.at_level(logging.WARNING):
        stage = CompiledStage(layer, name="stage", how=Compilation(cpp_launches_on="cpu"))
        assert torch.equal(stage(x), layer(x))  # type: ignore[arg-type]
    assert compiler.asked == asked
    said = [record.getMessage() for record in caplog.records]
    wanted = f"stage is launched from Python, which takes longer: {note}"
    assert said == ([wanted] if note else [])


@pytest.mark.slow
def test_a_program_launched_from_c_plus_plus_computes_what_the_other_does() -> None:
    layers = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    x = torch.randn(1, 8, 12, 12)
    assert inductor.compiler_probe("cpu", cpp_launches=True) == ""
    found = CompiledStage(layers, name="stage", how=Compilation(cpp_launches_on="cpu"))(x)
    assert isinstance(found, Tensor)
    assert torch.allclose(found, layers(x), atol=1e-5)
