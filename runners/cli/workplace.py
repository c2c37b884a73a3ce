"""The workplace that the options of a command describe."""

from pathlib import Path

import torch

from runners.evaluation.coco.score import engine_name
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError


def make_workplace(
    work_dir: Path,
    device: str | None,
    *,
    workers: int | None = None,
    validate_every: int | None = None,
    max_store_gb: float = 100.0,
    scoring: str = "pycocotools",
    eval_batch: int = 1,
    compile_training: bool = False,
    devices: int = 1,
) -> Workplace:
    """Return where and on what to work; without a device CUDA if there is one, else the CPU.

    Raises:
        SpecError: an unknown device or scoring engine, or one that this machine lacks.
    """
    engine_name(scoring)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise SpecError(f"--device {device}: write cpu, cuda or cuda:N") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise SpecError(f"--device {device}: torch finds no CUDA device; write --device cpu")
    # A network on the CPU uses every core, so that by default nothing is encoded beside it.
    loaders, encoders = (4, 4) if kind == "cuda" else (1, 0)
    return Workplace(
        work_dir=work_dir,
        device=device,
        workers=loaders if workers is None else workers,
        validate_every=validate_every,
        max_store=max_store_gb * 1e9,
        encoders=encoders if workers is None else workers,
        eval_batch=eval_batch,
        scoring=scoring,
        compile_training=compile_training,
        devices=devices,
    )
