"""The deformable layer alone: our kernel against torchvision's operator under autocast."""

import logging
from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from torch import Tensor

from tests.benchmarks.gpu_graphs import CALLS, as_graphs
from tests.benchmarks.gpu_size import Part, Size, timed_together
from tests.support.triton_plans import overrule
from yolact_bench.deform import DEFORM_IMPLEMENTATIONS
from yolact_bench.deform.layer import MAP_CHANNELS
from yolact_bench.deform.triton_plan import COLUMNS, LaunchPlan, fused_plan
from yolact_bench.slots import fact

log = logging.getLogger(__name__)

PLAIN = "torchvision, AMP"
# What autocast makes the operator compute in; any other keeps the half precision.
_TYPES = {"torchvision": torch.float32, "triton": torch.bfloat16, "gather": torch.bfloat16}
# Of the largest value: bf16 keeps 8 bits of each product's inputs.
_MAX_DIFFERENCE = 0.03


def deform_part(size: Size, device: torch.device) -> Part:
    """Return the times of all layers and batches, forward, and forward with backward."""
    ours = "triton" if device.type == "cuda" else "gather"
    rows, failed = [], {}
    for (name, (side, channels)), batch, backward in product(
        size.layers.items(), size.layer_batches, (False, True)
    ):
        try:
            rows.append(_row(name, side, channels, batch, ours, backward, size, device))
        except Exception as error:  # the other rows go on
            log.exception("deformable layer %s", name)
            way = "forward + backward" if backward else "forward"
            failed[f"{name}, batch {batch}, {way}"] = f"{type(error).__name__}: {error}"
    return {"kind": "deform", "calls": CALLS, "rows": rows, "failed": failed}


def _row(
    name: str,
    side: int,
    channels: int,
    batch: int,
    ours: str,
    backward: bool,
    size: Size,
    device: torch.device,
) -> dict[str, object]:
    layer = _Inputs(side, channels, batch, device, backward=backward)
    plain, fast = layer.forward("torchvision").detach(), layer.forward(ours).detach()
    difference = float((plain.float() - fast.float()).abs().max() / plain.float().abs().max())
    if difference > _MAX_DIFFERENCE:
        raise ValueError(f"{ours} differs from torchvision by {difference:.3f} at {name}")
    calls = _calls(layer, ours, backward)
    arms, are_graphs = as_graphs(calls, device)
    times = timed_together(arms, device, size)
    return {
        "layer": name,
        "side": side,
        "channels": channels,
        "batch": batch,
        "pass": "forward + backward" if backward else "forward",
        "difference": difference,
        "as_graphs": are_graphs,
        "arms": times,
    }


def _calls(layer: "_Inputs", ours: str, backward: bool) -> dict[str, Callable[[], object]]:
    """Return what is timed; forward passes of our kernels also by either plan of sizes."""
    calls = {PLAIN: layer.call("torchvision"), f"{ours} bf16": layer.call(ours)}
    if ours == "triton" and not backward:
        for plan in (COLUMNS, fused_plan(len(layer.weight))):
            calls[f"{ours} bf16, {plan.way}"] = partial(_by_plan, plan, layer.call(ours))
    return calls


def _by_plan(plan: LaunchPlan, call: Callable[[], object]) -> object:
    with overrule(plan):
        return call()


class _Inputs:
    """One layer's input and weights; offsets of about a cell."""

    def __init__(
        self, side: int, channels: int, batch: int, device: torch.device, *, backward: bool
    ) -> None:
        random = torch.Generator().manual_seed(0)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=random).to(device)

        x = drawn(batch, channels, side, side).to(torch.bfloat16)
        self.x = x.contiguous(memory_format=torch.channels_last).requires_grad_(backward)
        # As a layer's convolution leaves it; torchvision takes its parts, of the same values.
        places = drawn(batch, MAP_CHANNELS, side, side).to(torch.bfloat16)
        self.places = places.contiguous(memory_format=torch.channels_last).requires_grad_(backward)
        parts = places.detach().float()
        self.offset = parts[:, :18].contiguous().requires_grad_(backward)
        self.modulation = parts[:, 18:27].sigmoid().requires_grad_(backward)
        self.weight = (drawn(channels, channels, 3, 3) / (3 * channels**0.5)).requires_grad_(
            backward
        )
        self.bias = drawn(channels).requires_grad_(backward)
        self.backward = backward
        # Without gradients the weights lie ready in the precision they are used in.
        self.ready = {dtype: self.weight.detach().to(dtype) for dtype in _TYPES.values()}

    def forward(self, implementation: str) -> Tensor:
        """Return the layer's output, as under autocast."""
        compute = DEFORM_IMPLEMENTATIONS[implementation]
        dtype = _TYPES.get(implementation, torch.bfloat16)
        weight = self.weight.to(dtype) if self.backward else self.ready[dtype]
        x, bias = self.x.to(dtype), self.bias.to(dtype)
        convolve_map = fact(compute, "convolve_map")
        with torch.autocast(self.x.device.type, dtype=torch.bfloat16):
            if convolve_map is not None:
                out: Tensor = convolve_map(x, self.places, weight, bias, 1)
                return out
            return compute(x, self.offset, self.modulation, weight, bias, 1)

    def call(self, implementation: str) -> Callable[[], object]:
        """Return what is timed."""
        if not self.backward:
            return lambda: _without_gradients(lambda: self.forward(implementation))

        def both() -> object:
            out = self.forward(implementation).float().sum()
            return torch.autograd.grad(out, self._leaves(implementation))

        return both

    def _leaves(self, implementation: str) -> list[Tensor]:
        """Return what an implementation takes that is trained."""
        reads_map = fact(DEFORM_IMPLEMENTATIONS[implementation], "convolve_map") is not None
        where = [self.places] if reads_map else [self.offset, self.modulation]
        return [self.x, *where, self.weight, self.bias]


def _without_gradients(call: Callable[[], Tensor]) -> Tensor:
    with torch.inference_mode():
        return call()
