"""The workplace and the request for an executor that the options of a command describe."""

import torch

from runners.cli.command import ExecutorOptions, PlaceOptions
from runners.evaluation.coco.score import engine_name
from runners.executors import ExecutorRequest
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError


def make_workplace(options: PlaceOptions) -> Workplace:
    """Return where and on what to work; without a device CUDA if there is one, else the CPU.

    Raises:
        SpecError: an unknown device or scoring engine, or one that this machine lacks.
    """
    engine_name(options.scoring)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise SpecError(f"--device {device}: write cpu, cuda or cuda:N") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise SpecError(f"--device {device}: torch finds no CUDA device; write --device cpu")
    if options.record_step:
        _check_graph(kind, options.devices)
    # A network on the CPU uses every core, so that by default nothing is encoded beside it.
    loaders, encoders = (4, 4) if kind == "cuda" else (1, 0)
    return Workplace(
        work_dir=options.work_dir,
        device=device,
        workers=loaders if options.workers is None else options.workers,
        validate_every=options.validate_every,
        max_store_bytes=options.max_store_gb * 1e9,
        encoders=encoders if options.workers is None else options.workers,
        eval_batch=options.eval_batch,
        scoring=options.scoring,
        compile_network=options.compile_network,
        record_step=options.record_step,
        cudnn_benchmark=options.cudnn_benchmark,
        devices=options.devices,
    )


def _check_graph(kind: str, devices: int) -> None:
    if kind != "cuda":
        raise SpecError(f"--graph: a CUDA graph needs a GPU, not {kind}; leave it out")
    if devices > 1:
        raise SpecError(
            f"--graph: the step of {devices} devices that share a batch cannot be recorded; leave "
            "it out, or train on one device: --devices 1"
        )


def executor_request(options: ExecutorOptions) -> ExecutorRequest:
    """Return where the options say that jobs run."""
    return ExecutorRequest(
        name=options.executor,
        slots=options.slots,
        devices=options.devices,
        address=options.address,
        work_dir=options.work_dir,
        device=options.place.device,
        named=options.device,
    )
