"""The recorded detections of the reference through what is optional on a GPU, all of it at once."""

from collections.abc import Mapping

import pytest
import torch

from tests.golden.test_golden_gpu import LEAST_FOUND, golden_detector, share_found
from tests.support.golden_reference import CONFIGS, PRESET_OF, detection_faults, images
from tests.support.golden_reference import released_file as released
from yolact_bench.build import load_detector
from yolact_bench.detector import Detector
from yolact_bench.shapes import map_tensors

RUNTIMES: Mapping[str, Mapping[str, object]] = {
    "compiled": {"name": "compiled", "epilogues": "fused"},
    "cuda_graph": {"name": "cuda_graph", "epilogues": "fused", "cudnn": "benchmark", "streams": 2},
}


def optional_detector(config: str, runtime: str, precision: str) -> Detector:
    """The detector of released weights in a runtime with its options on."""
    return load_detector(
        PRESET_OF[config],
        weights=released(config),
        device="cuda",
        runtime={**RUNTIMES[runtime], "precision": precision},
        deform={"name": "triton"},
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("config", CONFIGS)
def test_fp32_detections_are_those_of_the_reference(config: str, runtime: str) -> None:
    """By cuDNN's own kernels, but not in TF32, which has ten bits."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for image, found in enumerate(optional_detector(config, runtime, "fp32")(images())):
            ours = map_tensors(found, torch.Tensor.cpu)
            assert detection_faults(config, image, "fast", ours) == [], f"image {image}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("config", CONFIGS)
def test_bf16_detections_are_those_of_fp32_but_for_scores_within_one_percent(
    config: str, runtime: str
) -> None:
    wanted = golden_detector(config, "cuda", "eager")(images())
    found = optional_detector(config, runtime, "bf16")(images())
    for one, other in zip(found, wanted, strict=True):
        ours, theirs = (map_tensors(each, torch.Tensor.cpu) for each in (one, other))
        assert share_found(ours, theirs) >= LEAST_FOUND
        assert share_found(theirs, ours) >= LEAST_FOUND
