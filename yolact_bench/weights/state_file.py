"""Reading a file of tensors, and the exact reasons why it does not fit a network."""

import hashlib
import pickle
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from yolact_bench.errors import SpecError, word_list

NAMED = 3  # keys of each kind in a message


def read_state(path: Path, *, where: str) -> Mapping[str, object]:
    """Return the mapping that a PyTorch file holds, without executing anything in it.

    Raises:
        SpecError: no such file, no PyTorch file, one that holds more than plain data and
            tensors, or one that holds no mapping; the message starts with `where`.
    """
    if not path.is_file():
        raise SpecError(f"{where}: there is no file at {path}; write the path of one")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for what is not a checkpoint
        if isinstance(error, pickle.UnpicklingError) and "global" in str(error).lower():
            raise SpecError(
                f"{where}: {path} holds Python objects beside tensors, which are not loaded, for "
                "they could run any code; save the state_dict of the model alone"
            ) from error
        raise SpecError(
            f"{where}: {path} is not a PyTorch checkpoint, or is damaged; give a file written by "
            "torch.save"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise SpecError(
            f"{where}: {path} holds a {type(state).__name__} and no state dict (names → tensors); "
            "save the state_dict of the model alone"
        )
    return state


def weights_sha256(path: Path) -> str:
    """Return the SHA-256 of the tensors of a finished training, without its other facts.

    A training that is repeated to the bit has the same one. It is computed once while the time and
    size of the file stay the same.

    Raises:
        SpecError: as `read_state`.
    """
    stat = path.stat()
    return _weights_sha256(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _weights_sha256(path: Path, mtime_ns: int, size: int) -> str:
    state = read_state(path, where="weights")
    network = state.get("network")
    tensors = network if isinstance(network, Mapping) else state
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors_of(tensors, source=path, where="weights").items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tensors_of(state: Mapping[str, object], *, source: object, where: str) -> dict[str, Tensor]:
    """Return `state` if all its values are tensors.

    Raises:
        SpecError: something else is among them, or there is nothing.
    """
    other = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if other or not state:
        content = f"it holds {word_list(other, most=NAMED)}" if other else "it is empty"
        raise SpecError(
            f"{where}: {source} is not a plain state dict of tensors: {content}; save the "
            "state_dict of the model alone"
        )
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def load_exactly(
    module: nn.Module, tensors: Mapping[str, Tensor], *, may_miss: Collection[str] = ()
) -> str:
    """Load `tensors` and return "", or load nothing and return what does not fit.

    Every key of `module` must be there but for those in `may_miss`, which keep their values.
    """
    own = module.state_dict()
    wrong = sorted(k for k in set(own) & set(tensors) if own[k].shape != tensors[k].shape)
    faults = {
        "missing": sorted(set(own) - set(tensors) - set(may_miss)),
        "unexpected": sorted(set(tensors) - set(own)),
        "other shapes": [f"{k} {list(tensors[k].shape)} for {list(own[k].shape)}" for k in wrong],
    }
    if any(faults.values()):
        return "; ".join(
            f"{kind} {word_list(keys, most=NAMED)}" for kind, keys in faults.items() if keys
        )
    module.load_state_dict({**own, **tensors})
    return ""


def counters_of(module: nn.Module) -> set[str]:
    """Return the batch counters of its batch norms, which files of torch 0.4 do not have.

    Nothing that is computed here depends on them.
    """
    return {key for key in module.state_dict() if key.endswith("num_batches_tracked")}
