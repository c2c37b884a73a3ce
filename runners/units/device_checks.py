"""Whether a run is possible at all, and whether it suits this machine.

A spec for a GPU is no mistake where there is none: its arm fails alone, before it trains.
"""

import torch

from yolact_bench.build import deform_fault, device_fault, freezes_batch_norm
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.resolve import fact_of
from yolact_bench.spec.run import Run


def check_possible(run: Run, device: str) -> None:
    """Check what a resolved run cannot be on a device, or at all.

    Raises:
        SpecError: a precision or implementation that the device lacks, or nothing to freeze.
    """
    _check_device(run, device)
    _check_batch_norm(run)


def check_runtime(run: Run, device: str) -> None:
    """Check that the runtime of an arm can run on a device, before the arm trains for nothing.

    Raises:
        ArmError: unsuited_device. The other arms go on; a machine that suits it tries it again.
    """
    fault = device_fault(run, device)
    if fault:
        raise ArmError("unsuited_device", f"runtime: {fault}; there, add --retry-failed")


def _check_device(run: Run, device: str) -> None:
    kind = torch.device(device).type
    if run.precision == "fp16" and kind == "cpu":
        raise SpecError("precision: fp16 is for GPUs; on a CPU write fp32 or bf16")
    if run.runtime.get("precision") == "fp16" and kind == "cpu":
        raise SpecError("runtime.precision: fp16 is for GPUs; on a CPU write fp32 or bf16")
    fault = deform_fault(run, device)
    if fault:
        raise SpecError(f"deform: {fault}")


def _check_batch_norm(run: Run) -> None:
    if fact_of(run, "init", "random") and freezes_batch_norm(run):
        raise SpecError(
            f"batch_norm: {run.batch_norm['name']} freezes batch norm at schedule.batch_size "
            f"{run.schedule['batch_size']}, but random weights (init: {run.init['name']}) "
            "come with no statistics to freeze; write batch_norm: {name: train}, or a batch_size "
            "of 6 or more"
        )
