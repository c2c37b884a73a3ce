"""Weight files of any kind into a network: checkpoints of ours, and released ones."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from yolact_bench.errors import SpecError, word_list
from yolact_bench.model.network import Yolact
from yolact_bench.spec.presets import PRESETS
from yolact_bench.weights.detector_file import DetectorFile, read_detector
from yolact_bench.weights.labels import in_label_order, label_order
from yolact_bench.weights.released import (
    is_released_name,
    preset_named,
    recognise,
    signature_of,
    what_else,
)
from yolact_bench.weights.state_file import counters_of, load_exactly, read_state
from yolact_bench.weights.unwrap import names_in, unwrap

log = logging.getLogger(__name__)


def load_weights(
    network: Yolact, path: Path, *, classes: Sequence[str] = (), train_digest: str = ""
) -> None:
    """Load a checkpoint of yolact-bench (final.pt, last.pt) or a released YOLACT .pth, strictly.

    Other trainers may have wrapped either; both may be files of safetensors. With a digest it must
    be the checkpoint of that training. With the `classes` of the network, labels are mapped by name
    where the file has them in another order.

    Raises:
        SpecError: no such file, neither of the two, other classes, other keys or shapes than the
            network's, or values that are no weights.
    """
    names = network.state_dict().keys()
    file = read_detector(path, names=names, train_digest=train_digest)
    may_miss = set() if file.is_checkpoint else counters_of(network)
    tensors = _by_name(file, network, classes, path) if classes else file.tensors
    fault = load_exactly(network, tensors, source=path, may_miss=may_miss)
    if fault:
        fault += f"; it holds {signature_of(file.released, source=path)}" if file.released else ""
        raise SpecError(f"weights: {path} does not fit this run: {fault}; name the arm it is of")
    if file.released:
        _warn_of_size(network, path)


def _by_name(
    file: DetectorFile, network: Yolact, classes: Sequence[str], path: Path
) -> Mapping[str, Tensor]:
    """Return the tensors of a file with its labels in the order of `classes`."""
    order = label_order(file.classes, classes, path=path)
    if not order or file.classes is None:
        return file.tensors
    log.warning(
        "%s: labels are mapped by name: it detects %s, and the data has %s",
        *(path, word_list(file.classes.names), word_list(classes)),
    )
    return in_label_order(file.tensors, network, order)


def recognise_weights(path: Path) -> str:
    """Return the preset that a released YOLACT .pth is for.

    Raises:
        SpecError: not a released file, or its keys fit several presets and its name none.
    """
    state = read_state(path, where="weights")
    weights = unwrap(state, is_released_name)
    if weights is None:
        raise SpecError(f"weights: {path} {what_else(names_in(state))}")
    return recognise(weights.tensors, file_name=path.name)


def _warn_of_size(network: Yolact, path: Path) -> None:
    """Equal keys hide it when the 700 px weights are given to the 550 px network."""
    name = preset_named(path.name)
    if name is not None and PRESETS[name].image_size != network.image_size:
        log.warning(
            "%s is by its name for %d px (%s), but runs at %d px",
            *(path, PRESETS[name].image_size, name, network.image_size),
        )
