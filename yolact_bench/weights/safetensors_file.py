"""Files of safetensors: tensors, and beside them what else is known, as texts of JSON."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from yolact_bench.weights.tensors import UnreadableError

SUFFIX = ".safetensors"
_FACTS = ("schema", "facts", "classes", "dataset")  # of a checkpoint, beside its tensors


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins as one of safetensors, whatever it is called."""
    with path.open("rb") as file:
        start = file.read(9)  # the length of the header, and the brace that it begins with
    return start[8:] == b"{" or path.suffix == SUFFIX


def load_safetensors(path: Path) -> Mapping[str, object]:
    """Return the tensors by name; those of a checkpoint of ours as the checkpoint itself.

    Raises:
        UnreadableError: not such a file, or a damaged one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            texts = file.metadata() or {}
    except SafetensorError as error:
        raise UnreadableError(f"is no file of safetensors, or is damaged ({error})") from error
    try:
        facts = {key: json.loads(texts[key]) for key in _FACTS if key in texts}
    except ValueError:  # the metadata of another program
        return tensors
    return {**facts, "network": tensors} if "schema" in facts else tensors


def save_safetensors(path: Path, checkpoint: Mapping[str, object]) -> None:
    """Write the tensors and facts of a checkpoint (`network`, `facts`, `classes`, `dataset`)."""
    network = checkpoint["network"]
    assert isinstance(network, Mapping)
    tensors: dict[str, Tensor] = {key: value.contiguous() for key, value in network.items()}
    texts = {key: json.dumps(checkpoint[key], ensure_ascii=False) for key in _FACTS}
    save_file(tensors, path, metadata={"format": "pt", **texts})
