"""A file with the weights of a whole detector, whoever saved it: its tensors by our names."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.weights.checkpoint import checkpoint_fault, is_checkpoint, read_checkpoint
from yolact_bench.weights.classes import StoredClasses, classes_of
from yolact_bench.weights.released import is_released_name, to_ours, what_else
from yolact_bench.weights.state_file import read_state
from yolact_bench.weights.tensors import casts
from yolact_bench.weights.unwrap import names_in, unwrap

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorFile:
    """The tensors of a detector by our names, and what its file says of them."""

    tensors: Mapping[str, Tensor]
    classes: StoredClasses | None  # None where nothing says them
    is_checkpoint: bool = False
    released: Mapping[str, Tensor] | None = None  # by the reference's names


def read_detector(
    path: Path, *, names: Collection[str], where: str = "weights", train_digest: str = ""
) -> DetectorFile:
    """Return the tensors of a checkpoint of ours, of a released file, or of either in a wrapper.

    `names` are those of the network that it is for: a bare state dict is of ours if it has them.
    With a digest it must be the checkpoint of that training. What is passed over is logged.

    Raises:
        SpecError: no such file, a damaged one, or no detector.
    """
    state = (
        read_checkpoint(path, train_digest=train_digest)
        if train_digest
        else read_state(path, where=where)
    )
    classes = classes_of(state, path)
    if is_checkpoint(state):
        if fault := checkpoint_fault(state):
            raise SpecError(f"{where}: {path} is damaged: {fault}; give another file")
        network: Mapping[str, Tensor] = state["network"]  # type: ignore[assignment]
        return DetectorFile(tensors=network, classes=classes, is_checkpoint=True)
    ours, theirs = unwrap(state, names.__contains__), unwrap(state, is_released_name)
    weights = max((ours, theirs), key=lambda one: 0 if one is None else one.fitting)
    if weights is None:
        raise SpecError(f"{where}: {path} {what_else(names_in(state))}")
    if said := "; ".join(filter(None, (weights.note, casts(weights.tensors)))):
        log.info("%s: %s", path, said)
    if weights is ours:
        return DetectorFile(tensors=weights.tensors, classes=classes)
    return DetectorFile(
        tensors=to_ours(weights.tensors, source=path),
        classes=classes,
        released=weights.tensors,
    )
