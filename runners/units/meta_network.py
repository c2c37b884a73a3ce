"""The network of a run on the meta device: sizes without values, for checks and plans."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from yolact_bench.build import build_network, initialise
from yolact_bench.model.network import Yolact
from yolact_bench.spec.run import ARCHITECTURE, Run


def meta_network(run: Run) -> Yolact:
    """Return the network of a resolved run without storage, the same one for each architecture."""
    slots = [getattr(run, slot) for slot in (*ARCHITECTURE, "deform")]
    return _network_of(_Architecture(json.dumps(slots, sort_keys=True), run))


@dataclass(frozen=True, slots=True)
class _Architecture:
    key: str
    run: Run = field(compare=False)


@lru_cache(maxsize=64)  # a network without values takes about 1 MB
def _network_of(architecture: _Architecture) -> Yolact:
    """Return the network on the meta device, where an image has passed through it."""
    run = architecture.run
    with torch.no_grad(), _ShapesAlone():
        with torch.device("meta"):
            network = build_network(run, initial=False)
        network(torch.empty(1, 3, run.image_size, run.image_size, device="meta"))
    return network


def check_init(network: Yolact, run: Run) -> None:
    """Check that the weight file of a run's init slot, if it has one, fits its network.

    A file is read once for each architecture and choice.

    Raises:
        SpecError: it does not fit.
    """
    if "sha256" in run.init:
        _fit_once(network, _Architecture(json.dumps(run.init, sort_keys=True), run))


@lru_cache(maxsize=64)
def _fit_once(network: Yolact, init: _Architecture) -> None:
    initialise(network, init.run)


class _ShapesAlone(TorchFunctionMode):
    """Leaves out what changes no shape, and computes others: their meta kernels are most of a pass.

    Without storage initial values are none, and of a batch norm only the channels are checked.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        kwargs = kwargs or {}
        first = args[0] if args else kwargs.get("tensor", kwargs.get("input"))
        if func in _KEEP_SHAPE:
            return first
        if func is nn.functional.interpolate and isinstance(kwargs.get("size"), tuple):
            return first.new_empty(*first.shape[:2], *kwargs["size"])
        if func is not nn.functional.batch_norm:
            return func(*args, **kwargs)
        features, mean = args[:2]
        if mean is not None and features.shape[1] != mean.shape[0]:
            raise ValueError(f"batch norm of {mean.shape[0]} channels, got {features.shape[1]}")
        return features


_KEEP_SHAPE = frozenset(
    (
        *(nn.init.kaiming_uniform_, nn.init.uniform_, nn.init.constant_),
        *(Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_),
        *(nn.functional.relu, nn.functional.leaky_relu, Tensor.tanh, Tensor.sigmoid),
    )
)
