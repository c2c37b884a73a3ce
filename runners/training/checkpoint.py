"""Checkpoints: everything that a training needs to continue as if it had never stopped."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from yolact_bench.errors import SpecError
from yolact_bench.results.files import atomic_path
from yolact_bench.weights.state_file import read_state

CHECKPOINT_SCHEMA = 1
# How some part of a training was carried out, where that rounds otherwise.
WAYS = ("compile_network", "record_step", "cudnn_benchmark")


def save_training(
    path: Path,
    *,
    train_digest: str,
    iteration: int,
    seconds: float,
    parts: Mapping[str, Any],
    window: Sequence[Mapping[str, Tensor]] = (),
    ways: Mapping[str, bool] = MappingProxyType({}),
) -> None:
    """Write the states of `parts` by name, position and random states; whole or not at all.

    The parts are network, optimizer and scaler. `window` holds the losses that the next line of the
    log will average; `ways` says which of `WAYS` hold for some part so far.

    The learning rate and the data order are functions of the iteration, so the iteration
    stands for the schedule and the sampler.
    """
    _save(
        path,
        {
            "schema": CHECKPOINT_SCHEMA,
            "train_digest": train_digest,
            "iteration": iteration,
            "seconds": seconds,
            **{name: part.state_dict() for name, part in parts.items()},
            "random": _random_states(),
            "window": [dict(losses) for losses in window],
            **ways,
        },
    )


def load_training(
    path: Path, *, train_digest: str, parts: Mapping[str, Any]
) -> tuple[int, float, list[dict[str, Tensor]], dict[str, bool]]:
    """Restore what `save_training` wrote; return iteration, seconds, losses and `WAYS`.

    Raises:
        SpecError: the file is not a checkpoint of this training.
    """
    state: Mapping[str, Any] = read_state(path, where="checkpoint")
    if state.get("schema") != CHECKPOINT_SCHEMA or state.get("train_digest") != train_digest:
        raise SpecError(f"{path}: not a checkpoint of the training {train_digest}; remove it")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    _restore_random_states(state["random"])
    # Checkpoints of earlier versions lack some of the last two.
    window, ways = state.get("window", []), {way: state.get(way, False) for way in WAYS}
    return int(state["iteration"]), float(state["seconds"]), window, ways


def saved_iteration(path: Path) -> int:
    """Return the iteration of what `save_training` wrote.

    Raises:
        SpecError: the file is not a checkpoint.
    """
    iteration = read_state(path, where="checkpoint").get("iteration")
    if not isinstance(iteration, int):
        raise SpecError(f"{path}: not a checkpoint of a training; remove it")
    return iteration


def save_final(path: Path, *, facts: Mapping[str, object], network: nn.Module) -> None:
    """Write the trained weights with facts about the training (plain data)."""
    _save(
        path, {"schema": CHECKPOINT_SCHEMA, "facts": dict(facts), "network": network.state_dict()}
    )


def load_facts(path: Path) -> Mapping[str, Any]:
    """Return the facts that `save_final` wrote with the weights."""
    facts = read_state(path, where="checkpoint")["facts"]
    assert isinstance(facts, dict)
    return facts


def _save(path: Path, state: Mapping[str, object]) -> None:
    # Given a path, torch hides that the disk is full behind an error about positions.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


def seed_generators(seed: int) -> None:
    """Seed every global generator: an outside component may draw from any."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _random_states() -> dict[str, object]:
    state = np.random.get_state(legacy=False)
    assert isinstance(state, dict)
    python = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": {  # plain numbers, which a weights-only load accepts
            "key": state["state"]["key"].tolist(),
            "pos": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": float(state["gauss"]),
        },
        "python": [python[0], list(python[1]), python[2]],
    }


def _restore_random_states(states: Mapping[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    cuda = states["cuda"]
    if torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
    numpy = states["numpy"]
    keys = np.asarray(numpy["key"], dtype=np.uint32)
    np.random.set_state(("MT19937", keys, numpy["pos"], numpy["has_gauss"], numpy["gauss"]))
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
