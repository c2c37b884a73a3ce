"""The workplace and the request for an executor that the options of a command describe."""

import re

import torch

from runners.cli.command import ExecutorOptions, PlaceOptions
from runners.evaluation.coco.score import engine_name
from runners.executors import ExecutorRequest
from runners.units.workplace import Datasets, Workplace
from yolact_bench.errors import SpecError


def make_workplace(options: PlaceOptions) -> Workplace:
    """Return where and on what to work; without a device CUDA if there is one, else the CPU.

    Raises:
        SpecError: an unknown device or scoring engine, or one that this machine lacks.
    """
    engine_name(options.scoring)
    device = device_of(options.device, "cuda" if torch.cuda.is_available() else "cpu")
    kind = torch.device(device).type
    if options.record_step:
        _check_graph(kind, options.devices)
    # A network on the CPU uses every core, so that by default nothing is encoded beside it.
    loaders, encoders = (4, 4) if kind == "cuda" else (1, 0)
    return Workplace(
        work_dir=options.work_dir,
        device=device,
        workers=loaders if options.workers is None else options.workers,
        hash_images=options.hash_images,
        validate_every=options.validate_every,
        max_store_bytes=options.max_store_gb * 1e9,
        encoders=encoders if options.workers is None else options.workers,
        eval_batch=options.eval_batch,
        scoring=options.scoring,
        compile_network=options.compile_network,
        record_step=options.record_step,
        cudnn_benchmark=options.cudnn_benchmark,
        devices=options.devices,
        datasets=Datasets(options.strict),
    )


def device_of(device: str | None, default: str) -> str:
    """Return the device that the user names, or the default.

    Raises:
        SpecError: not a CPU or a CUDA device, or one that this machine lacks.
    """
    if device is None:
        return default
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", device):
        raise SpecError(f"--device {device!r}: write cpu, cuda or cuda:N")
    number = torch.cuda.device_count()
    if device != "cpu" and not torch.cuda.is_available():
        raise SpecError(f"--device {device}: torch finds no CUDA device; write --device cpu")
    if int(device.partition(":")[2] or 0) >= max(number, 1):
        raise SpecError(
            f"--device {device}: torch finds {number}; write cuda:0 to cuda:{number - 1}"
        )
    return device


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
