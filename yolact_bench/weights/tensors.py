"""What is wrong with weights: a file that cannot be read, a tensor that is no weight."""

from collections.abc import Mapping

import torch
from torch import Tensor

from yolact_bench.errors import word_list

NAMED = 3  # keys of each kind in a message


class UnreadableError(Exception):
    """Why a file is not read, as the rest of a sentence about it, and what to do instead."""

    def __init__(self, fault: str, *, remedy: str = "give a file written by torch.save") -> None:
        super().__init__(fault)
        self.remedy = remedy


def unusable(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor] | None = None) -> str:
    """Return which tensors cannot be weights and why, or nothing.

    With the tensors of a network, `own`, integers are no weights where it has other numbers.
    """
    owners = own or {}
    faults = [
        f"{key} {fault}"
        for key, value in tensors.items()
        if (fault := _fault(value, owners.get(key)) or _variance_fault(key, value))
    ]
    return word_list(faults, most=NAMED) if faults else ""


def casts(tensors: Mapping[str, Tensor]) -> str:
    """Return how many tensors are of another precision than float32, which they become."""
    names = [
        str(tensor.dtype).removeprefix("torch.")
        for tensor in tensors.values()
        if tensor.is_floating_point() and tensor.dtype is not torch.float32
    ]
    counts = [f"{names.count(name)} tensors of {name}" for name in sorted(set(names))]
    return f"{word_list(counts)} become float32" if counts else ""


def _variance_fault(key: str, tensor: Tensor) -> str:
    is_negative = key.endswith("running_var") and bool((tensor < 0).any())
    return "has variances below 0" if is_negative else ""


def _fault(tensor: Tensor, own: Tensor | None) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_quantized:
        return f"is quantised ({kind})"
    if tensor.is_nested or tensor.layout is not torch.strided:
        return "is sparse or nested"
    if tensor.is_complex():
        return f"is complex ({kind})"
    if tensor.is_meta or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return "has no values, or fewer than its shape says"
    if not tensor.is_floating_point():
        meant = own is not None and own.is_floating_point()
        return f"is of {kind}, where float32 is meant" if meant else ""
    count = int(tensor.numel() - tensor.float().isfinite().sum())
    return f"has values that are not finite ({count} of {tensor.numel()})" if count else ""
