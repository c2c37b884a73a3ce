"""A small detector with random weights, and images of noise."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yolact_bench.build import load_detector
from yolact_bench.clock import Clock, no_clock
from yolact_bench.detector import Detector
from yolact_bench.runtime.inductor import PARTS
from yolact_bench.runtime.runtime import Program


def noise(height: int = 96, width: int = 80, seed: int = 0) -> NDArray[np.uint8]:
    """An RGB image."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def small_detector(**slots: object) -> Detector:
    """YOLACT with four prototypes at 72 pixels."""
    torch.manual_seed(0)
    return load_detector("yolact_tiny", image_size=72, **{"protonet.k": 4, **slots})


def empty_program() -> Program:
    """A program with stages that do nothing."""

    class Empty(Program):
        def forward(self, x: Tensor, clock: Clock = no_clock) -> None:  # type: ignore[override]
            """Do nothing."""

    made = Empty()
    for part in PARTS:
        setattr(made, part, nn.Identity())
    return made
