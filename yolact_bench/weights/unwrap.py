"""The tensors of a network in what another trainer saved: below a key, behind a prefix, or bare."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from yolact_bench.errors import word_list
from yolact_bench.weights.tensors import NAMED

# What torch.compile and FSDP write into the names of modules, at any depth.
MARKS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
AVERAGES = "ema"  # in the place or prefix of averaged weights, by common usage
_DEEPEST = 4  # mappings below one another


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTensors:
    """Tensors by the names that fit, and where they were found."""

    tensors: Mapping[str, Tensor]
    fitting: int  # of their names
    place: str  # keys of the mappings they are in, joined by dots; "" for the outermost
    prefix: str  # that their names had
    note: str  # of all that was passed over; "" for a bare state dict

    @property
    def rank(self) -> tuple[int, bool]:
        """What is preferred: more names that fit, then averages, as they evaluate better."""
        return self.fitting, AVERAGES in f"{self.place}.{self.prefix}".lower()


def unwrap(state: Mapping[str, object], fits: Callable[[str], bool]) -> NamedTensors | None:
    """Return the tensors of which most names fit, without their common prefix; None if none fits.

    They may lie in a mapping below others, beside an optimizer and whatever else a trainer keeps.
    """
    fitting = [one for place, inner in _mappings(state) for one in _candidates(place, inner, fits)]
    if not fitting:
        return None
    best = max(fitting, key=lambda one: one.rank)
    others = [one for one in fitting if one is not best and one.fitting == best.fitting]
    if not others:
        return best
    names = word_list([f"{one.place}.{one.prefix}".strip(".") for one in others], most=NAMED)
    return replace(best, note=f"{best.note}; others that fit are left out: {names}")


def names_in(state: Mapping[str, object]) -> list[str]:
    """Return the names of all tensors, whichever mapping they are in."""
    mappings = (inner for _, inner in _mappings(state))
    return [
        _without_marks(key)
        for inner in mappings
        for key in inner
        if _tensor(inner[key]) is not None
    ]


def _mappings(
    state: Mapping[str, object], place: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield a mapping with names as keys, and those below it, with the keys that lead there."""
    yield place, state
    for key, value in state.items():
        if (
            depth < _DEEPEST
            and isinstance(value, Mapping)
            and all(isinstance(k, str) for k in value)
        ):
            yield from _mappings(value, f"{place}.{key}".strip("."), depth + 1)


def _candidates(
    place: str, state: Mapping[str, object], fits: Callable[[str], bool]
) -> Iterator[NamedTensors]:
    """Yield the tensors of one mapping, for each prefix after which most names fit."""
    named = {_without_marks(key): value for key, value in state.items()}
    tensors = {
        key: tensor for key, value in named.items() if (tensor := _tensor(value)) is not None
    }
    counts = Counter(key[:end] for key in tensors for end in _ends(key) if fits(key[end:]))
    most = max(counts.values(), default=0)
    for prefix in (prefix for prefix, count in counts.items() if count == most):
        inside = {
            key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)
        }
        left = [key for key in named if key not in tensors or not key.startswith(prefix)]
        yield NamedTensors(
            tensors=inside,
            fitting=most,
            place=place,
            prefix=prefix,
            note=_note(place, prefix, marked=list(named) != list(state), left=left),
        )


def _note(place: str, prefix: str, *, marked: bool, left: list[str]) -> str:
    said = [f"those under {place!r}"] if place else []
    said += [f"without the prefix {prefix!r}"] if prefix else []
    said += ["without the marks of a compiler"] if marked else []
    said += [f"left out: {word_list(left, most=NAMED)}"] if left else []
    return ", ".join(said)


def _without_marks(key: str) -> str:
    for mark in MARKS:
        key = key.replace(mark, "")
    return key


def _ends(key: str) -> list[int]:
    """Return where a prefix of a name may end: nowhere, or behind a dot."""
    return [0, *(i + 1 for i, letter in enumerate(key) if letter == ".")]


def _tensor(value: object) -> Tensor | None:
    """Return a value as a tensor, if it is one or an array of numbers."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.dtype.isnative:
        return torch.from_numpy(value)
    return value if isinstance(value, Tensor) else None
