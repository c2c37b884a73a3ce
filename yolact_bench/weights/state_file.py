"""Reading a file of tensors, and the exact reasons why it does not fit a network."""

from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor, nn

from yolact_bench.errors import SpecError, word_list
from yolact_bench.weights.safetensors_file import is_safetensors, load_safetensors
from yolact_bench.weights.tensors import NAMED, UnreadableError, unusable
from yolact_bench.weights.torch_file import load_torch


def read_state(path: Path, *, where: str) -> Mapping[str, object]:
    """Return the mapping that a file of PyTorch or safetensors holds, executing nothing in it.

    Raises:
        SpecError: no such file, none of the two, one that holds more than plain data and tensors,
            or one that holds no mapping; the message starts with `where`.
    """
    if not path.is_file():
        raise SpecError(f"{where}: there is no file at {path}; write the path of one")
    try:
        return read_mapping(path)
    except UnreadableError as error:
        raise SpecError(f"{where}: {path} {error}; {error.remedy}") from error


def read_mapping(path: Path) -> Mapping[str, object]:
    """Return the mapping that a file of PyTorch or safetensors holds.

    Raises:
        UnreadableError: it holds none that is plain data.
    """
    state = load_safetensors(path) if is_safetensors(path) else load_torch(path)
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise UnreadableError(
            f"holds a {type(state).__name__} and no state dict (names → tensors)",
            remedy="save the state_dict of the model alone",
        )
    return state


def load_exactly(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    source: object,
    may_miss: Collection[str] = (),
) -> str:
    """Load `tensors` and return "", or load nothing and return what does not fit.

    Every key of `module` must be there but for those in `may_miss`, which keep their values. On
    the device "meta" it is only seen whether they fit.

    Raises:
        SpecError: a tensor holds no weights: it is sparse, quantised, complex, not finite, ….
    """
    own = module.state_dict()
    if fault := unusable({key: tensor for key, tensor in tensors.items() if key in own}, own):
        raise SpecError(f"weights: {source}: {fault}; give a file whose weights are finite numbers")
    faults = misfit(own, tensors, may_miss)
    if not faults and not any(tensor.is_meta for tensor in own.values()):
        module.load_state_dict({**own, **tensors})
    return "; ".join(f"{kind} {word_list(keys, most=NAMED)}" for kind, keys in faults.items())


def misfit(
    own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], may_miss: Collection[str]
) -> dict[str, list[str]]:
    """Return kind of fault → the keys that have it, followed by their shapes where these differ."""
    wrong = sorted(k for k in set(own) & set(tensors) if own[k].shape != tensors[k].shape)
    faults = {
        "missing": sorted(set(own) - set(tensors) - set(may_miss)),
        "unexpected": sorted(set(tensors) - set(own)),
        "other shapes": [f"{k} {list(tensors[k].shape)} for {list(own[k].shape)}" for k in wrong],
    }
    return {kind: keys for kind, keys in faults.items() if keys}


def counters_of(module: nn.Module) -> set[str]:
    """Return the batch counters of its batch norms, which files of torch 0.4 do not have.

    Nothing that is computed here depends on them.
    """
    return {key for key in module.state_dict() if key.endswith("num_batches_tracked")}
