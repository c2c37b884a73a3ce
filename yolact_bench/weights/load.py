"""Weight files of either kind into a network: checkpoints of ours, and released ones."""

import logging
from collections.abc import Mapping
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.model.network import Yolact
from yolact_bench.spec.presets import PRESETS
from yolact_bench.weights.released import preset_named, recognise, signature_of, to_ours
from yolact_bench.weights.state_file import counters_of, load_exactly, read_state, tensors_of

log = logging.getLogger(__name__)


def load_weights(network: Yolact, path: Path) -> None:
    """Load a checkpoint of yolact-bench (final.pt, last.pt) or a released YOLACT .pth, strictly.

    Raises:
        SpecError: no such file, neither of the two, or other keys or shapes than the network's.
    """
    state = read_state(path, where="weights")
    own = state.get("network")
    if isinstance(own, Mapping):
        fault = load_exactly(network, tensors_of(own, source=path, where="weights"))
    else:
        released = tensors_of(state, source=path, where="weights")
        tensors = to_ours(released, source=path)
        fault = load_exactly(network, tensors, may_miss=counters_of(network))
        fault += f"; it holds {signature_of(released, source=path)}" if fault else ""
        _warn_of_size(network, path)
    if fault:
        raise SpecError(f"weights: {path} does not fit this run: {fault}; name the arm it is of")


def recognise_weights(path: Path) -> str:
    """Return the preset that a released YOLACT .pth is for.

    Raises:
        SpecError: not a released file, or its keys fit several presets and its name none.
    """
    state = read_state(path, where="weights")
    return recognise(tensors_of(state, source=path, where="weights"), file_name=path.name)


def _warn_of_size(network: Yolact, path: Path) -> None:
    """Equal keys hide it when the 700 px weights are given to the 550 px network."""
    name = preset_named(path.name)
    if name is not None and PRESETS[name].image_size != network.image_size:
        log.warning(
            "%s is by its name for %d px (%s), but runs at %d px",
            *(path, PRESETS[name].image_size, name, network.image_size),
        )
