"""Plain PyTorch."""

from contextlib import AbstractContextManager
from functools import partial

import torch

from yolact_bench.runtime.runtime import HALF, Precision, Runtime, fp16_fault, no_context


def eager(*, precision: Precision = "fp32") -> Runtime:
    """Return plain PyTorch: operators are launched one by one, half precision is autocast's.

    Source: PyTorch; what dbolya/yolact@902073d does.
    Differs: the FPN is not scripted.
    """

    def autocast(device_type: str) -> AbstractContextManager[object]:
        return torch.autocast(device_type, dtype=HALF[precision])

    return Runtime(
        precision=precision,
        precision_fault=partial(fp16_fault, precision),
        prepare=lambda network: network,
        context=no_context if precision == "fp32" else autocast,
        counts_as_fused=False,
    )
