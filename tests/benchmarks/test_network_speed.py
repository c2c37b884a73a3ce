"""The network, its backbone, and an image file to run lengths, beside their plain forms."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pycocotools.mask
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks.alternating import AT_ONE_AND_TWO_THREADS, compare
from tests.benchmarks.plain_detector import plain_detections, read_rgb
from tests.support.golden_reference import images, released_file
from yolact_bench.build import load_detector
from yolact_bench.detector import Detector
from yolact_bench.geometry.run_lengths import mask_run_lengths

# As they were recorded from the reference: a hundred detections an image, offsets that are used.
CONFIG, PRESET = "yolact_plus_resnet50", "yolact_plus_r50"
ARMS = {"compiled bf16": "bf16", "compiled fp32": "fp32"}


@cache
def plain() -> Detector:
    """The reference arm: eager, float32, NCHW, torchvision's deformable operator."""
    return load_detector(PRESET, weights=released_file(CONFIG))


@cache
def compiled(precision: str) -> Detector:
    return load_detector(
        PRESET,
        weights=released_file(CONFIG),
        runtime={"name": "compiled", "precision": precision},
        deform={"name": "gather"},
    )


def furthest(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


@AT_ONE_AND_TWO_THREADS
def test_the_network(benchmark: BenchmarkFixture, threads: int) -> None:
    """Raw outputs as float32 and within 1e-4 of the largest; in bf16 within 5 %."""
    x = plain().preprocess([images()[0]])
    wanted = plain().predict(x)
    for precision, limit in (("fp32", 1e-4), ("bf16", 0.05)):
        found = compiled(precision).predict(x)
        for name in ("boxes", "class_logits", "prototypes"):
            assert furthest(getattr(found, name), getattr(wanted, name)) < limit, (precision, name)
    compare(
        benchmark,
        f"{PRESET}, network at 550×550",
        {
            "plain": lambda: plain().predict(x),
            "eager bf16": lambda: eager("bf16").predict(x),
            **{arm: lambda p=p: compiled(p).predict(x) for arm, p in ARMS.items()},
        },
        reference="plain",
        target={"compiled bf16": 4, "compiled fp32": 2},
        moonshot={"compiled bf16": 4.9, "compiled fp32": 2.5},
        threads=threads,
        rounds=20,
        seconds=120,
    )


@cache
def eager(precision: str) -> Detector:
    """The other half of the gain without a compiler: autocast and the gathered layer."""
    return load_detector(
        PRESET,
        weights=released_file(CONFIG),
        runtime={"name": "eager", "precision": precision},
        deform={"name": "gather"},
    )


@AT_ONE_AND_TWO_THREADS
def test_the_backbone(benchmark: BenchmarkFixture, threads: int) -> None:
    x = plain().preprocess([images()[0]])
    with torch.inference_mode():
        last = x.contiguous(memory_format=torch.channels_last)
        halves = last.bfloat16()
        wanted = plain().network.backbone(x)
        found = compiled("fp32").network.backbone(last)
        assert all(furthest(a, b) < 1e-4 for a, b in zip(found, wanted, strict=True))
        compare(
            benchmark,
            f"{PRESET}, backbone at 550×550",
            {
                "plain": lambda: plain().network.backbone(x),
                "compiled bf16": lambda: compiled("bf16").network.backbone(halves),
                "compiled fp32": lambda: compiled("fp32").network.backbone(last),
            },
            reference="plain",
            threads=threads,
            rounds=20,
            seconds=60,
        )


def from_file(detector: Detector, file: Path) -> list[str]:
    image = read_rgb(file)
    (found,) = detector.find([image])
    return mask_run_lengths(found.soft_masks, *image.shape[:2], threshold=found.mask_threshold)


def drawn(text: str, size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    mask: npt.NDArray[np.uint8] = pycocotools.mask.decode({"size": size, "counts": text})
    return mask


@AT_ONE_AND_TWO_THREADS
def test_an_image_file_to_run_lengths(
    benchmark: BenchmarkFixture, tmp_path: Path, threads: int
) -> None:
    """In float32 at most ten pixels of a hundred masks are others: those on the threshold."""
    file = tmp_path / "image.jpg"
    cv2.imwrite(str(file), cv2.cvtColor(images()[0], cv2.COLOR_RGB2BGR))
    expected = plain_detections(plain(), file)
    found = compiled("fp32").find([read_rgb(file)])[0]
    assert len(expected.label) == len(found) == 100
    assert torch.equal(found.labels, expected.label)
    assert torch.allclose(found.mask_scores, expected.score, atol=1e-4)
    size = read_rgb(file).shape[:2]
    texts = from_file(compiled("fp32"), file)
    others = [
        drawn(a, size) ^ drawn(b, size) for a, b in zip(texts, expected.run_lengths, strict=True)
    ]
    assert sum(int(mask.sum()) for mask in others) <= 10
    assert len(from_file(compiled("bf16"), file)) == 100
    compare(
        benchmark,
        f"{PRESET}, image file to run lengths of 100 masks",
        {
            "plain": lambda: plain_detections(plain(), file),
            **{arm: lambda p=p: from_file(compiled(p), file) for arm, p in ARMS.items()},
        },
        reference="plain",
        target={"compiled bf16": 4.5},
        moonshot={"compiled bf16": 5.3},
        threads=threads,
        rounds=20,
        seconds=120,
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["yolact_r50", PRESET])
def test_detection_on_a_gpu(benchmark: BenchmarkFixture, name: str) -> None:
    """Decoded image to detections on the device; every call waits for its result."""
    image = images()[0]
    deform = {"name": "gather"} if name == PRESET else {"name": "torchvision"}

    def made(runtime: str, precision: str) -> Detector:
        choice = {"name": runtime, "precision": precision}
        return load_detector(name, device="cuda", runtime=choice, deform=deform)

    arms = {
        "plain": load_detector(name, device="cuda"),
        "compiled bf16": made("compiled", "bf16"),
        "cuda_graph bf16": made("cuda_graph", "bf16"),
        "cuda_graph fp32": made("cuda_graph", "fp32"),
    }

    def call(detector: Detector) -> None:
        detector.find([image])
        torch.cuda.synchronize()

    compare(
        benchmark,
        f"{name}, decoded image to detections on {torch.cuda.get_device_name()}",
        {arm: lambda detector=detector: call(detector) for arm, detector in arms.items()},
        reference="plain",
        target={"cuda_graph bf16": 4},
        rounds=40,
        seconds=60,
    )
