"""Checkpoints: everything that a training needs to continue as if it had never stopped."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from yolact_bench.errors import first_line
from yolact_bench.results.files import atomic_path
from yolact_bench.spec.base_run import dataset_name
from yolact_bench.spec.run import Run
from yolact_bench.weights.checkpoint import CHECKPOINT_SCHEMA, damage, read_checkpoint
from yolact_bench.weights.safetensors_file import SUFFIX, save_safetensors
from yolact_bench.weights.tensors import unusable

# How some part of a training was carried out, where that rounds otherwise.
WAYS = ("compile_network", "record_step", "cudnn_benchmark")


def save_training(
    path: Path,
    *,
    run: Run,
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
            **_identity(run),
            "train_digest": run.train_digest,
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
        SpecError: the file is damaged, or of another training.
    """
    state = read_checkpoint(path, train_digest=train_digest)
    network = parts["network"].state_dict()
    if {key: value.shape for key, value in network.items()} != {
        key: value.shape for key, value in state["network"].items()
    } or unusable(state["network"], network):
        raise damage(path, "its network is not that of the run")
    for name, restore in (
        *((name, part.load_state_dict) for name, part in parts.items()),
        ("random", _restore_random_states),
    ):
        try:
            restore(state[name])
        except (ValueError, TypeError, LookupError, RuntimeError, AttributeError) as error:
            raise damage(path, f"its {name} does not fit ({first_line(error)})") from error
    if fault := _optimizer_fault(parts["optimizer"]):
        raise damage(path, f"its optimizer {fault}")
    # Checkpoints of earlier versions lack some of the last two.
    window, ways = state.get("window", []), {way: state.get(way, False) for way in WAYS}
    return int(state["iteration"]), float(state["seconds"]), window, ways


def _optimizer_fault(optimizer: Any) -> str:  # noqa: ANN401 - of any kind
    """Return which of the values that an optimizer has of a parameter cannot be one, or nothing."""
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                fits = value.shape in ((), parameter.shape) and not unusable({name: value})
            else:
                fits = value is None or isinstance(value, int | float)
            if not fits:
                return f"has a {name} that is of no use"
    return ""


def saved_iteration(path: Path) -> int:
    """Return the iteration of what `save_training` wrote.

    Raises:
        SpecError: the file is not a checkpoint.
    """
    state = read_checkpoint(path)
    if "iteration" not in state:
        raise damage(path, "it is not of an interrupted training")
    return int(state["iteration"])


def save_final(path: Path, *, run: Run, facts: Mapping[str, object], network: nn.Module) -> None:
    """Write the trained weights with the names of their classes and facts about the training.

    The suffix .safetensors chooses that format.
    """
    state = {**_identity(run), "facts": dict(facts), "network": network.state_dict()}
    if path.suffix == SUFFIX:
        with atomic_path(path) as temporary:
            save_safetensors(temporary, state)
    else:
        _save(path, state)


def load_facts(path: Path, *, train_digest: str = "") -> Mapping[str, Any]:
    """Return the facts that `save_final` wrote with the weights; with a digest, of that training.

    Raises:
        SpecError: the file is damaged, or of another training.
    """
    state = read_checkpoint(path, train_digest=train_digest)
    if "facts" not in state:
        raise damage(path, "it is of a training that is not finished")
    facts: Mapping[str, Any] = state["facts"]
    return facts


def _identity(run: Run) -> dict[str, object]:
    """Return what of a run its weights need where they are used without it."""
    names = {"classes": list(run.classes), "dataset": dataset_name(run)}
    return {"schema": CHECKPOINT_SCHEMA, **names}


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
