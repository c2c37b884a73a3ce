"""Photos in one block: recorded once for all sizes, and found as image by image."""

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tests.support.recorders import Event, Recorder
from tests.support.small_detector import noise, small_detector
from tests.support.triton_kernels import (
    DEVICES,
    INTERPRETED,
    assert_interpreted_tests_pass,
    device_or_skip,
    stack_bytes,
)
from yolact_bench.clock import no_clock
from yolact_bench.detect.graph import staging as staging_module
from yolact_bench.detect.graph.fixed import FixedDetection, FixedDetections
from yolact_bench.detect.graph.photos import PhotoDetection
from yolact_bench.detect.graph.staging import Staging, header_of, resize_by_kernel
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.runtime.recording import RecordedStep
from yolact_bench.runtime.runtime import GraphStep, Program
from yolact_bench.shapes import Predictions
from yolact_bench.slots import form_of

ON_A_CPU = pytest.mark.skipif(INTERPRETED, reason="the interpreter has tests of its own")
Photo = NDArray[np.uint8]


def resize_by_operators(
    block: Tensor, images: int, side: int, mean: Tensor, std: Tensor, dtype: torch.dtype
) -> Tensor:
    """The photos of a block as `Detector.preprocess` makes them; the host reads their sizes."""
    made = []
    for start, height, width, _ in header_of(block, images).tolist():
        pixels = block[start : start + 3 * height * width].view(height, width, 3)
        channels = pixels.permute(2, 0, 1).float()[None]
        square = F.interpolate(channels, size=(side, side), mode="bilinear", align_corners=False)
        made.append((square[0] - mean) / std)
    return torch.stack(made).to(dtype)


@pytest.fixture(scope="module")
def eager() -> Detector:
    return small_detector()


def of_photos(
    eager: Detector,
    record: Recorder,
    change: Callable[[FixedDetections], FixedDetections] = lambda found: found,
) -> Detector:
    """The same detector with everything from photos on as one recorded function."""

    class Changed(FixedDetection):
        def __call__(self, raw: Predictions, *clock: object) -> FixedDetections:
            return change(super().__call__(raw, *clock))  # type: ignore[arg-type]

    nms = form_of(eager.head.nms, "fixed")
    assert nms is not None
    detection = Changed(eager.head, nms)

    def in_place(step: GraphStep) -> GraphStep:
        return RecordedStep(step, record=record, event=Event, hold=lambda batch: batch)

    def make(mean: Tensor, std: Tensor) -> PhotoDetection:
        return PhotoDetection(
            *(detection, resize_by_operators, in_place, mean, std),
            side=eager.image_size,
            dtype=torch.float32,
        )

    return Detector(
        eager.network,
        head=eager.head,
        image_size=eager.image_size,
        classes=eager.classes,
        photos=make,
    )


def assert_found_alike(ours: Detector, eager: Detector, images: list[Photo]) -> None:
    for found, wanted in zip(ours.find(images), eager.find(images), strict=True):
        assert len(found) == len(wanted) == 100
        for part in ("labels", "boxes_px"):
            assert torch.equal(getattr(found, part), getattr(wanted, part)), part
        for part in ("boxes", "scores", "mask_scores", "soft_masks"):
            assert torch.allclose(getattr(found, part), getattr(wanted, part), atol=1e-5), part
        assert (found.height, found.width) == (wanted.height, wanted.width)
        assert found.mask_threshold == wanted.mask_threshold


@ON_A_CPU
def test_one_recording_serves_photos_of_all_sizes(eager: Detector) -> None:
    """One pixel, a column, odd sides; grey with a stride of 0, BGR reversed, and a tensor's."""
    record = Recorder()
    ours = of_photos(eager, record)
    grey = np.broadcast_to(noise(31, 20)[..., :1], (31, 20, 3))
    photos = [noise(1, 1), noise(75, 1), noise(33, 121), grey, noise(40, 50)[..., ::-1]]
    for one in photos:
        assert_found_alike(ours, eager, [one])
    assert (record.recorded, record.warmed, record.replayed) == (1, 1, 5)
    tensor = torch.from_numpy(noise())
    assert torch.equal(ours.find([tensor])[0].labels, eager.find([tensor])[0].labels)


@ON_A_CPU
def test_photos_of_a_batch_may_differ_in_size(eager: Detector) -> None:
    record = Recorder()
    ours = of_photos(eager, record)
    assert_found_alike(ours, eager, [noise(), noise(64, 120, seed=1)])
    assert_found_alike(ours, eager, [noise(50, 31, seed=2), noise(7, 9, seed=3)])
    assert record.recorded == 1


@ON_A_CPU
def test_what_is_decoded_into_the_staging_is_not_copied_again(
    eager: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = of_photos(eager, Recorder())
    room = ours.staging(96, 80)
    room[:] = noise()
    wanted = eager.find([noise()])[0]
    with monkeypatch.context() as patch:
        patch.setattr(np, "copyto", None)
        assert torch.equal(ours.find([room])[0].boxes_px, wanted.boxes_px)
    assert_found_alike(ours, eager, [noise(seed=1)])
    # A part of it begins elsewhere: it is moved over itself.
    room[:] = noise(seed=2)
    assert_found_alike(ours, eager, [noise(seed=2)[5:, 3:]])
    room[:] = noise(seed=2)
    moved = ours.find([room[5:, 3:]])[0]
    assert torch.equal(moved.boxes_px, eager.find([noise(seed=2)[5:, 3:]])[0].boxes_px)


@ON_A_CPU
def test_without_a_program_of_photos_a_decoder_gets_plain_memory(eager: Detector) -> None:
    assert eager.staging(5, 6).shape == (5, 6, 3)


@ON_A_CPU
def test_photos_that_do_not_fit_go_the_other_way_with_a_note(
    eager: Detector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of room for 100 pixels: 10 × 10 fit, 10 × 11 do not; the note comes once."""
    monkeypatch.setattr(staging_module, "PIXELS", 100)
    record = Recorder()
    ours = of_photos(eager, record)
    with caplog.at_level(logging.WARNING):
        assert_found_alike(ours, eager, [noise(10, 10)])
        assert (record.recorded, len(caplog.records)) == (1, 0)
        for _ in range(2):
            assert_found_alike(ours, eager, [noise(10, 11)])
        assert ours.staging(10, 11).base is None
    assert record.replayed == 1
    (note,) = caplog.records
    assert "larger together" in note.getMessage()


@ON_A_CPU
def test_an_image_whose_flag_says_no_is_detected_again(eager: Detector) -> None:
    def doubtful(found: FixedDetections) -> FixedDetections:
        wrong = found.scores.clone()
        wrong[1] = 0.123
        return replace(found, scores=wrong, exact=torch.tensor([True, False]))

    ours = of_photos(eager, Recorder(), doubtful)
    images = [noise(), noise(seed=1)]
    assert [found.exact for found in ours.find(images)] == [True, False]
    assert_found_alike(ours, eager, images)


@ON_A_CPU
def test_what_is_taken_out_of_a_program_is_its_own_memory(eager: Detector) -> None:
    """A replay overwrites the program's; detections of the photo before must not change."""
    ours = of_photos(eager, Recorder())
    assert ours._of_photos is not None
    with torch.no_grad():
        outcome = ours._of_photos(ours.network, [noise()], no_clock)
    found = outcome.detections(0, 2, height=96, width=80, mask_threshold=0.5)
    for part in ("boxes", "boxes_px", "scores", "mask_scores", "labels", "soft_masks"):
        before = getattr(found, part).clone()
        outcome.rows.zero_()
        assert len(before) == 2
        assert torch.equal(getattr(found, part), before)
    assert float(found.scores.min()) > 0


@ON_A_CPU
def test_a_wrong_image_is_refused(eager: Detector) -> None:
    ours = of_photos(eager, Recorder())
    with pytest.raises(SpecError, match="image 1: expected RGB uint8"):
        ours.find([noise(), noise()[..., :1]])


@ON_A_CPU
def test_another_network_is_recorded_anew(eager: Detector) -> None:
    record = Recorder()
    ours = of_photos(eager, record)
    ours.find([noise()])

    class Same(Program):
        def __init__(self, network: Program) -> None:
            super().__init__()
            self.network = network

        def forward(self, *args: Tensor, **clock: object) -> Predictions:
            raw: Predictions = self.network(*args, **clock)
            return raw

    ours.network = Same(ours.network)
    ours.find([noise()])
    assert record.recorded == 2


@pytest.mark.slow
@ON_A_CPU
def test_the_kernel_passes_in_the_interpreter() -> None:
    assert_interpreted_tests_pass(__file__, 4)


@pytest.mark.parametrize("device_name", DEVICES)
@pytest.mark.parametrize("sizes", [[(1, 1)], [(31, 47), (90, 3)], [(20, 20)] * 9])
def test_interpreted_photos_are_resized_as_by_torch(
    device_name: str, sizes: list[tuple[int, int]]
) -> None:
    """Values of a few units, from weights with errors of 2^-22 of 90 pixels."""
    ours, theirs = resized(device_or_skip(device_name), sizes, torch.float32)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert float((ours.cpu() - theirs).abs().max()) < 1e-4


@pytest.mark.parametrize("device_name", DEVICES)
def test_interpreted_photos_are_rounded_at_the_end(device_name: str) -> None:
    ours, theirs = resized(device_or_skip(device_name), [(25, 40)], torch.bfloat16)
    assert ours.dtype == torch.bfloat16
    assert torch.allclose(ours.cpu().float(), theirs.float(), rtol=2**-7, atol=1e-4)


def resized(
    device: str, sizes: list[tuple[int, int]], dtype: torch.dtype, side: int = 23
) -> tuple[Tensor, Tensor]:
    """By the kernel, and by operators on the CPU."""
    photos = [noise(*size, seed=seed) for seed, size in enumerate(sizes)]
    mean = torch.tensor([123.68, 116.78, 103.94])[:, None, None]
    std = torch.tensor([58.4, 57.12, 57.38])[:, None, None]
    made = []
    for resize, at in ((resize_by_kernel, device), (resize_by_operators, "cpu")):
        staging = Staging(len(photos), torch.device(at))
        staging.upload(photos)
        made.append(resize(staging.block, len(photos), side, mean.to(at), std.to(at), dtype))
    return made[0], made[1]


@ON_A_CPU
@pytest.mark.parametrize("values", ["*fp32", "*bf16"])
def test_the_kernel_compiles_for_a_gpu_that_is_not_here(
    values: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton")
    from yolact_bench.detect.kernels.resize_kernel import resize_normalise

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = {"block_ptr": "*u8", "header_ptr": "*i32", "out_ptr": values}
    assert stack_bytes(resize_normalise, types, {"side": 550, "pixels_block": 128}) == 0
