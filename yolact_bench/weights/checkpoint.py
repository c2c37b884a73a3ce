"""Checkpoints of yolact-bench: what they hold, checked wherever one is read.

Two kinds: final.pt, the weights of a finished training with facts about it (as a file of
safetensors too), and last.pt, all that an interrupted one continues from. In both, `classes` are
the names of the classes in the order of labels and `dataset` is the display name of the data; files
of earlier versions have neither.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.weights.state_file import read_mapping
from yolact_bench.weights.tensors import UnreadableError, unusable

CHECKPOINT_SCHEMA = 1


def is_checkpoint(state: Mapping[str, object]) -> bool:
    """Return whether what a file holds was written as a checkpoint of yolact-bench."""
    return "schema" in state and "network" in state


def damage(path: Path, fault: str) -> SpecError:
    """Return the error of a checkpoint that cannot be what was written."""
    return SpecError(f"{path} is damaged: {fault}; remove it to train again")


def read_checkpoint(path: Path, *, train_digest: str = "") -> Mapping[str, Any]:
    """Return what a final.pt or last.pt holds; with a digest, of that training alone.

    Raises:
        SpecError: it is damaged, or of another training.
    """
    try:
        state = read_mapping(path)
    except UnreadableError as error:
        raise damage(path, f"it {error}") from error
    fault = checkpoint_fault(state) or unusable(state["network"])  # type: ignore[arg-type]
    if not fault and train_digest not in {"", own := train_digest_of(state)}:
        fault = f"it is not a checkpoint of the training {train_digest} but of {own or 'none'}"
    if fault:
        raise damage(path, fault)
    return state


def train_digest_of(state: Mapping[str, object]) -> str:
    """Return the digest of the training that a checkpoint is of; "" of one that was imported."""
    facts = state.get("facts")
    where = facts if isinstance(facts, Mapping) else state
    return str(where.get("train_digest", ""))


def checkpoint_fault(state: Mapping[str, object]) -> str:
    """Return what is wrong with the content of a checkpoint, but for the values of its tensors."""
    if state.get("schema") != CHECKPOINT_SCHEMA:
        return f"its schema is {state.get('schema')!r}, where {CHECKPOINT_SCHEMA} is read"
    required = _FINAL if "facts" in state else _LAST
    if missing := [key for key in required if key not in state]:
        return f"it has no {missing[0]}"
    kinds = {**required, **_OPTIONAL}
    wrong = [key for key, is_right in kinds.items() if key in state and not is_right(state[key])]
    return f"its {wrong[0]} is not what was written there" if wrong else ""


def weights_sha256(path: Path, *, train_digest: str) -> str:
    """Return the SHA-256 of the tensors of that finished training, without its other facts.

    A training that is repeated to the bit has the same one. It is computed once while the time and
    size of the file stay the same.

    Raises:
        SpecError: as `read_checkpoint`.
    """
    stat = path.stat()
    return _weights_sha256(path, train_digest, stat.st_ctime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _weights_sha256(path: Path, train_digest: str, ctime_ns: int, size: int) -> str:
    digest = hashlib.sha256()
    tensors: Mapping[str, Tensor] = read_checkpoint(path, train_digest=train_digest)["network"]
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_amount(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _has_tensors(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())


def _has_losses(value: object) -> bool:
    """Of some iterations, by name: as the loop keeps them until the next line of the log."""
    if not isinstance(value, list) or not all(map(_has_tensors, value)):
        return False
    names = {tuple(losses) for losses in value}
    return len(names) <= 1 and not any(
        tensor.dim() or unusable(losses) for losses in value for tensor in losses.values()
    )


def _has_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_FINAL: Mapping[str, Callable[[object], bool]] = {"facts": _is_mapping, "network": _has_tensors}
_LAST: Mapping[str, Callable[[object], bool]] = {
    "train_digest": lambda value: isinstance(value, str),
    "iteration": _is_count,
    "seconds": _is_amount,
    "network": _has_tensors,
    "optimizer": _is_mapping,
    "scaler": _is_mapping,
    "random": _is_mapping,
}
_OPTIONAL: Mapping[str, Callable[[object], bool]] = {
    "window": _has_losses,
    "classes": _has_names,
    "dataset": lambda value: isinstance(value, str),
}
