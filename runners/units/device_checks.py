"""Checks of a run against a device.

A spec for a GPU is valid on a machine without one: only its arm fails, before it trains.
"""

import torch

from yolact_bench.build import deform_fault, device_fault, freezes_batch_norm
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.resolve import fact_of
from yolact_bench.spec.run import Run


def check_possible(run: Run, device: str) -> None:
    """Check that a resolved run is possible on a device.

    Raises:
        SpecError: the device lacks a precision or an implementation, or random weights have no
            statistics to freeze.
    """
    precisions = {"precision": run.precision, "runtime.precision": run.runtime.get("precision")}
    for where, precision in precisions.items():
        if precision == "fp16" and torch.device(device).type == "cpu":
            raise SpecError(f"{where}: fp16 is for GPUs; on a CPU write fp32 or bf16")
    fault = deform_fault(run, device)
    if fault:
        raise SpecError(f"deform: {fault}")
    if fact_of(run, "init", "random") and freezes_batch_norm(run):
        raise SpecError(
            f"batch_norm: {run.batch_norm['name']} freezes batch norm at schedule.batch_size "
            f"{run.schedule['batch_size']}, but random weights (init: {run.init['name']}) "
            "come with no statistics to freeze; write batch_norm: {name: train}, or a batch_size "
            "of 6 or more"
        )


def check_runtime(run: Run, device: str) -> None:
    """Check that a device supports the runtime of an arm, before the arm trains in vain.

    Raises:
        ArmError: unsuited_device. Only this arm fails; another machine can retry it.
    """
    fault = device_fault(run, device)
    if fault:
        raise ArmError("unsuited_device", f"runtime: {fault}; there, add --retry-failed")
