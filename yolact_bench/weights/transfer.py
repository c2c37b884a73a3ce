"""Training on from another detector: what of it is kept where classes differ."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from yolact_bench.errors import SpecError, word_list
from yolact_bench.file_hash import file_sha256
from yolact_bench.model.network import Yolact
from yolact_bench.weights.detector_file import DetectorFile, read_detector
from yolact_bench.weights.state_file import counters_of, load_exactly, misfit
from yolact_bench.weights.tensors import unusable
from yolact_bench.work_names import FINAL

log = logging.getLogger(__name__)

_WHERE = "init.detector"
# Names of tensors → the slot that decides their shapes; the first that matches counts.
_SLOTS = (
    (r"backbone\..*(?:offset_mask|conv2\.bias)", "dcn"),
    (r"backbone\.", "backbone"),
    (r"fpn\.|semantic\.", "fpn"),
    (r"protonet\.|head\.coefficients\.", "protonet"),
    (r"head\.boxes\.", "anchors"),
    (r"head\.", "head"),
    (r"rescore_net\.", "rescore_net"),
)


def fill_detector(
    network: Yolact,
    names: Sequence[str],
    *,
    path: Path,
    heads: Literal["auto", "new"],
    classes: Sequence[str],
    sha256: str,
) -> None:
    """Do what `init: detector` says, for a network whose classes have these `names`."""
    if path.is_file() and sha256 not in {"", file_sha256(path)}:
        raise SpecError(f"{_WHERE}.file: {path} has changed since the run was resolved; restore it")
    own = network.state_dict()
    stored = read_detector(path, names=own.keys(), where=f"{_WHERE}.file")
    if fault := unusable(stored.tensors):
        raise SpecError(f"{_WHERE}.file: {path}: {fault}; give a file of finite numbers")
    tensors = dict(stored.tensors)
    kept = _shared_names(stored, names, classes, path) if heads == "auto" else None
    for layer, first in network.class_layers.items():
        for key in {f"{layer}.weight", f"{layer}.bias"} & own.keys() & tensors.keys():
            tensors[key] = _outputs(tensors[key], own[key], first, names, classes, kept)
    may_miss = set() if stored.is_checkpoint else counters_of(network)
    if fault := load_exactly(network, tensors, source=path, may_miss=may_miss):
        slots = _slots(key for keys in misfit(own, tensors, may_miss).values() for key in keys)
        raise SpecError(
            f"{_WHERE}.file: {path} does not fit this network: {fault}; write as the file "
            f"has them: {slots}"
        )
    if not network.anchors.is_meta:
        log.info("%s", _report(path, names, classes, kept))


def weights_in(path: Path) -> Path:
    """Return the final.pt of a folder that `import-weights` or a training wrote, or the file."""
    return path / FINAL if path.is_dir() else path


def _shared_names(
    stored: DetectorFile, names: Sequence[str], classes: Sequence[str], path: Path
) -> list[str]:
    """Return the classes that file and network share."""
    if not classes:
        raise SpecError(
            f"{_WHERE}: {path} does not say the names of its classes; write them as classes: […], "
            "in the order of its labels, or heads: new"
        )
    own = stored.tensors.get("semantic.bias")
    if (own is not None and len(own) != len(classes)) or len(set(classes)) != len(classes):
        count = "as many different ones" if own is None else f"{len(own)} different ones"
        raise SpecError(f"{_WHERE}.classes: {len(classes)} names, where the file has {count}")
    return [name for name in names if name in classes]


def _outputs(
    theirs: Tensor,
    own: Tensor,
    first: int,
    names: Sequence[str],
    classes: Sequence[str],
    kept: Sequence[str] | None,
) -> Tensor:
    """Return a layer's weights or biases for `names`: those of `kept` from the file, others own.

    In every block of outputs `first` others come before the classes; None: nothing is kept. What
    does not fit comes back as it is.
    """
    width = first + len(names)
    blocks = len(own) // width
    if theirs.shape[1:] != own.shape[1:]:
        return theirs
    outputs = torch.zeros(own.shape) if own.is_meta else own.clone()
    if kept is None:
        return outputs
    if len(theirs) != blocks * (first + len(classes)):
        return theirs
    to = [*range(first), *(first + names.index(name) for name in kept)]
    of = [*range(first), *(first + classes.index(name) for name in kept)]
    blockwise = theirs.reshape(blocks, first + len(classes), -1)
    outputs.view(blocks, width, -1)[:, to] = blockwise[:, of].to(outputs.dtype)
    return outputs


def _slots(keys: Iterable[str]) -> str:
    keys = list(keys)
    if any(key.startswith("head.boxes.") for key in keys):  # then all of the head differs
        keys = [key for key in keys if not key.startswith("head.") or "boxes" in key]
    slots = [next((slot for name, slot in _SLOTS if re.match(name, key)), "") for key in keys]
    return word_list(sorted({slot for slot in slots if slot}))


def _report(
    path: Path, names: Sequence[str], classes: Sequence[str], kept: Sequence[str] | None
) -> str:
    if kept is None:
        return f"init: {path}, heads new: all outputs of classes are random ({word_list(names)})"
    new = [name for name in names if name not in kept]
    unused = [name for name in classes if name not in kept]
    return (
        f"init: {path}; outputs kept: background, {word_list(kept)}; random: {word_list(new)}; "
        f"left out of the file: {word_list(unused)}"
    )
