"""The recorded detections of the reference through every runtime of a GPU."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tests.support.golden_reference import CONFIGS, PRESET_OF, detection_faults, images
from tests.support.golden_reference import released_file as released
from yolact_bench.build import load_detector
from yolact_bench.detector import Detector
from yolact_bench.geometry.boxes import box_iou
from yolact_bench.shapes import Detections, map_tensors

RUNTIMES = ("eager", "compiled", "cuda_graph")
# A detection of eager fp32 and its counterpart in bf16: of one class, with nearly the same box.
SAME_BOX_IOU, SCORE_SHARE = 0.9, 0.01
# Detections that close neighbours in score may swap for others at the border of the first 100.
LEAST_FOUND = 0.97


def golden_detector(config: str, device: str, runtime: str, precision: str = "fp32") -> Detector:
    """The detector of released weights in a runtime; deformable layers as fast as it has them."""
    deform = "triton" if device == "cuda" and runtime != "eager" else "torchvision"
    return load_detector(
        PRESET_OF[config],
        weights=released(config),
        device=device,
        runtime={"name": runtime, "precision": precision},
        deform={"name": deform},
    )


def share_found(ours: Detections, theirs: Detections) -> float:
    """The share of their detections of which ours have the class, the box, and nearly the score."""
    overlap = box_iou(ours.boxes_px.float(), theirs.boxes_px.float())
    same = (ours.labels[:, None] == theirs.labels) & (overlap >= SAME_BOX_IOU)
    near = (ours.scores[:, None] - theirs.scores).abs() <= SCORE_SHARE * theirs.scores + 1e-3
    return float((same & near).any(0).float().mean())


@pytest.fixture
def whole_fp32() -> Iterator[None]:
    """Products of float32 in float32: cuDNN would take TF32, which has ten bits."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def test_the_shares_of_equal_and_of_other_detections() -> None:
    """All of itself; with the second of two scores halved, one half."""
    two = Detections(
        boxes_px=torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]]),
        labels=torch.tensor([1, 2]),
        scores=torch.tensor([0.9, 0.8]),
        mask_scores=torch.tensor([0.9, 0.8]),
        masks=torch.zeros(2, 50, 50, dtype=torch.bool),
    )
    halved = replace(two, scores=torch.tensor([0.9, 0.4]))
    assert share_found(two, two) == 1.0
    assert share_found(halved, two) == 0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.usefixtures("whole_fp32")
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("config", CONFIGS)
def test_fp32_detections_are_those_of_the_reference(config: str, runtime: str) -> None:
    """Classes, counts and integer boxes exactly, scores to 1e-4, masks to 5 px, as on a CPU."""
    for image, found in enumerate(golden_detector(config, "cuda", runtime)(images())):
        faults = detection_faults(config, image, "fast", map_tensors(found, torch.Tensor.cpu))
        assert faults == [], f"image {image}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("runtime", RUNTIMES[1:])
@pytest.mark.parametrize("config", CONFIGS)
def test_bf16_detections_are_those_of_fp32_but_for_scores_within_one_percent(
    config: str, runtime: str
) -> None:
    wanted = golden_detector(config, "cuda", "eager")(images())
    found = golden_detector(config, "cuda", runtime, "bf16")(images())
    for one, other in zip(found, wanted, strict=True):
        ours, theirs = (map_tensors(each, torch.Tensor.cpu) for each in (one, other))
        assert share_found(ours, theirs) >= LEAST_FOUND
        assert share_found(theirs, ours) >= LEAST_FOUND
