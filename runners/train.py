"""A training from its first to its last iteration. Resumes where it stopped."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from runners.checkpoint import save_final, seed_generators
from runners.progress import progress
from runners.training_loop import Loop, TrainingOptions
from yolact_bench.build import (
    build_losses_for,
    build_network,
    build_schedule,
    build_training_loader,
)
from yolact_bench.data import Dataset
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a finished training is known by."""

    weights: Path
    iterations: int
    seconds: float
    images_per_second: float
    skipped_annotations: int
    peak_memory_mb: float | None


def train(run: Run, folder: Path, dataset: Dataset, *, title: str, how: TrainingOptions) -> Trained:
    """Train `run` in `folder` (work/checkpoints/<train_digest>) and return what came of it.

    A last.pt there is continued from: on a CPU the result is the one of an unbroken training.

    Raises:
        ArmError: a loss is not finite, or an image cannot be read.
        KeyboardInterrupt: `how.should_stop` said so; a checkpoint has been written.
        Stopped: a file `stop` in the folder said so; likewise.
    """
    _warn_of_slow_bf16(run, how.device)
    seed_generators(run.seed)
    network = build_network(run).to(torch.device(how.device))
    network = network.to(memory_format=torch.channels_last)
    schedule = build_schedule(run)
    loop = Loop(run, network, schedule, build_losses_for(run, network), folder, how)
    last = folder / "last.pt"
    if last.is_file():
        loop.resume(last)
        log.info("%s: goes on from iteration %d", title, loop.iteration)
    loop.log.cut(loop.iteration)
    loader = build_training_loader(
        run, network, dataset, start_iteration=loop.iteration, workers=how.workers
    )
    with progress(title, schedule.iterations, loop.iteration) as bar:
        loop.run_all(loader, bar.advance)
    trained = Trained(
        weights=folder / "final.pt",
        iterations=schedule.iterations,
        seconds=loop.seconds,
        images_per_second=schedule.iterations * schedule.batch_size / max(loop.seconds, 1e-9),
        skipped_annotations=sum(dataset.skipped.values()),
        peak_memory_mb=_peak_memory_mb(how.device),
    )
    facts = {
        "train_digest": run.train_digest,
        "iterations": trained.iterations,
        "seconds": trained.seconds,
        "images_per_second": trained.images_per_second,
        "skipped_annotations": trained.skipped_annotations,
        "peak_memory_mb": trained.peak_memory_mb,
    }
    save_final(trained.weights, facts=facts, network=network)
    last.unlink(missing_ok=True)
    return trained


def _warn_of_slow_bf16(run: Run, device: str) -> None:
    """Say so before hours are spent: the result is right, but float32 may be there earlier."""
    fast: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if run.precision == "bf16" and torch.device(device).type == "cpu" and not fast:
        log.warning("PyTorch has no fast bf16 for this CPU; --set precision=fp32 may train faster")


def _peak_memory_mb(device: str) -> float | None:
    if torch.device(device).type != "cuda":
        return None
    return torch.cuda.max_memory_allocated(device) / 2**20
