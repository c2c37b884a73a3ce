"""The labels of a file of weights, mapped by the names of classes to those of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from yolact_bench.errors import SpecError, word_list
from yolact_bench.model.network import Yolact
from yolact_bench.spec.run import Run
from yolact_bench.text import count
from yolact_bench.weights.classes import StoredClasses, stored_classes


def with_classes_of(path: Path, run: Run) -> Run:
    """Return a run with the classes that a file of weights names, if it does.

    Raises:
        SpecError: no such file, or none of weights.
    """
    stored = stored_classes(path)
    return run if stored is None else replace(run, classes=stored.names)


def label_order(
    stored: StoredClasses | None, classes: Sequence[str], *, path: Path
) -> tuple[int, ...]:
    """Return the file's label of each class; empty where that is the same one, or not known.

    Raises:
        SpecError: the file's classes are not these, in whatever order; the message has both.
    """
    if stored is None or stored.names == tuple(classes):
        return ()
    if sorted(stored.names) == sorted(classes):
        return tuple(map(stored.names.index, classes))
    sides = {
        "only in the weights": [name for name in stored.names if name not in classes],
        "only in the data": [name for name in classes if name not in stored.names],
    }
    differences = "; ".join(f"{side}: {word_list(names)}" for side, names in sides.items() if names)
    remedy = (
        f"train on from the weights with --set init.name=detector --set init.file={path}"
        if sides["only in the data"]
        else "to score these classes among the others, list all of the weights under 'classes' in "
        "dataset.yaml"
    )
    raise SpecError(
        f"weights: {path} detects {_names_text(stored.names)}, and the data has "
        f"{_names_text(classes)} ({differences}); {remedy}"
    )


def in_label_order(
    tensors: Mapping[str, Tensor], network: Yolact, order: Sequence[int]
) -> dict[str, Tensor]:
    """Return the tensors of a network with the outputs for each class in another order.

    `order` has the present label of each new one.

    Raises:
        SpecError: the network does not say which outputs are of which class.
    """
    layers = network.class_layers
    if not any(layer.startswith("head.") for layer in layers):
        raise SpecError(
            f"weights: their labels are in another order than those of the data, and the head "
            f"{type(network.head).__name__} does not say which outputs are of which class; "
            "name the classes in their order under 'classes' in dataset.yaml"
        )
    result = dict(tensors)
    for layer, first in layers.items():
        columns = [*range(first), *(first + label for label in order)]
        for key in {f"{layer}.weight", f"{layer}.bias"} & result.keys():
            outputs = result[key]
            if len(outputs) % len(columns) == 0:  # otherwise it does not fit, as loading says
                blocks = outputs.reshape(-1, len(columns), *outputs.shape[1:])
                result[key] = blocks[:, columns].reshape(outputs.shape)
    return result


def _names_text(names: Sequence[str]) -> str:
    return f"{count(len(names), 'class', 'classes')} ({word_list(names)})"
