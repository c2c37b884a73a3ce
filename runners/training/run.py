"""A training from its first to its last iteration. It resumes where it stopped."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from runners.system.progress import progress
from runners.system.ranks import Ranks
from runners.training.checkpoint import load_facts, save_final, seed_generators
from runners.training.loop import Loop
from runners.training.options import TrainingOptions
from yolact_bench.build import build_network
from yolact_bench.data import Dataset
from yolact_bench.errors import SpecError
from yolact_bench.findings import LEFT_OUT, count_kinds
from yolact_bench.geometry.anchors import prototype_size
from yolact_bench.loss.total import Losses
from yolact_bench.model.joint_batch_norm import share_batch_norm
from yolact_bench.model.network import Yolact
from yolact_bench.option_values import check_value
from yolact_bench.ranges import Count, CountOrZero, NotNegative
from yolact_bench.spec.run import Run
from yolact_bench.training_parts import (
    build_losses_for,
    build_schedule,
    build_training_loader,
    freezes_batch_norm,
)
from yolact_bench.weights.checkpoint import damage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """The facts of a finished training."""

    weights: Path
    iterations: CountOrZero
    seconds: NotNegative
    images_per_second: NotNegative
    skipped_annotations: CountOrZero
    peak_memory_mb: NotNegative | None  # of the first device
    devices: Count = 1  # that shared each batch at the end; those of resumed parts may differ
    # For some part of it:
    compile_network: bool = False
    record_step: bool = False
    cudnn_benchmark: bool = False
    findings: Mapping[str, int] = field(default_factory=dict)  # of the training data, by kind

    @property
    def record_fields(self) -> dict[str, Any]:
        """The fields that a record of accuracy has under the same names, and its findings."""
        ways = ("compile_network", "record_step", "cudnn_benchmark")
        names = ("skipped_annotations", "peak_memory_mb", "devices", *ways)
        return {"train_findings": self.findings} | {name: getattr(self, name) for name in names}


def train(
    run: Run, folder: Path, dataset: Dataset, *, title: str, how: TrainingOptions
) -> TrainingResult:
    """Train `run` in `folder` (work/checkpoints/<train_digest>) and return its facts.

    A last.pt there is continued: on a CPU the result is that of an uninterrupted training.
    Each of several ranks calls this; the first writes, and all return the same.

    Raises:
        ArmError: a loss is not finite, or an image cannot be read.
        KeyboardInterrupt: `how.should_stop` returned True; a checkpoint has been written.
        TrainingStop: a file `stop` is in the folder; likewise.
    """
    _warn_of_slow_bf16(run, how.device)
    on_gpu = torch.device(how.device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(how.device)  # of an earlier arm in this process
    seed_generators(run.seed)
    network = build_network(run).to(torch.device(how.device)).to(memory_format=torch.channels_last)
    schedule, ranks = build_schedule(run), how.ranks
    loop = Loop(run, network, schedule, _joint_losses(run, network, ranks), folder, how)
    last = folder / "last.pt"
    if ranks.broadcast_from_first(last.is_file()):
        _resume(loop, last)
        log.info("%s: resumes at iteration %d", title, loop.iteration)
    ranks.do_on_first(lambda: loop.log.cut(loop.iteration))
    loader = build_training_loader(
        run,
        network,
        dataset,
        start_iteration=loop.iteration,
        workers=how.workers,
        rank=ranks.rank,
        world_size=ranks.size,
    )
    bar = progress(title, schedule.iterations, loop.iteration) if ranks.first else nullcontext()
    with bar as advance:
        loop.run_all(loader, advance or (lambda done, facts: None))
    trained = TrainingResult(
        weights=folder / "final.pt",
        iterations=schedule.iterations,
        seconds=loop.seconds,
        images_per_second=schedule.iterations * schedule.batch_size / max(loop.seconds, 1e-9),
        peak_memory_mb=torch.cuda.max_memory_allocated(how.device) / 2**20 if on_gpu else None,
        devices=ranks.size,
        **{**_data_facts(dataset, run), **loop.ways},
    )
    loop.check_weights()
    facts = {"train_digest": run.train_digest, **asdict(trained)}
    del facts["weights"]
    ranks.do_on_first(lambda: save_final(trained.weights, run=run, facts=facts, network=network))
    last.unlink(missing_ok=True)
    return trained


def load_finished(weights: Path, *, train_digest: str) -> TrainingResult:
    """Return the facts of a finished training from its final.pt.

    Raises:
        SpecError: the file is damaged, or of another training.
    """
    facts = load_facts(weights, train_digest=train_digest)
    kinds: dict[str, Any] = {f.name: f.type for f in fields(TrainingResult) if f.name in facts}
    try:
        known: dict[str, Any] = {name: check_value(kinds[name], facts[name]) for name in kinds}
        return TrainingResult(weights=weights, **known)
    except (SpecError, TypeError) as error:
        raise damage(weights, f"its facts: {error}") from error


def _data_facts(dataset: Dataset, run: Run) -> dict[str, Any]:
    small = dataset.without_cell(prototype_size(run.image_size))
    findings = count_kinds((*dataset.findings, *small))
    return {"skipped_annotations": findings.get(LEFT_OUT, 0), "findings": findings}


def _joint_losses(run: Run, network: Yolact, ranks: Ranks) -> Losses:
    """Return the losses over the joint batch, having joined the batch norm of the network."""
    if ranks.size > 1 and not freezes_batch_norm(run):
        share_batch_norm(network, ranks.statistics)
    losses = build_losses_for(run, network)
    losses.ranks, losses.sum_over_ranks = ranks.size, ranks.sum
    return losses


def _resume(loop: Loop, last: Path) -> None:
    """Continue from a checkpoint, all ranks from the same."""
    loop.ranks.do_on_all(lambda: loop.resume(last))
    fault = SpecError(f"{last}: differs between machines; give a --work-dir that they share")
    differs = loop.ranks.broadcast_from_first(loop.iteration) != loop.iteration
    loop.ranks.raise_on_all(fault if differs else None)


def _warn_of_slow_bf16(run: Run, device: str) -> None:
    """Warn before hours are spent: the result is right, but float32 may be faster.

    oneDNN, PyTorch's library for CPUs, has fast products of bf16 for some of them only.
    """
    if run.precision != "bf16" or torch.device(device).type != "cpu":
        return
    has = torch.cpu.get_capabilities().get
    avx512 = all(has(f"avx512_{part}") for part in ("f", "bw", "vl", "dq"))
    avx2 = has("avx_ne_convert") and has("avx_vnni_int8")
    if not (avx512 or avx2 or has("bf16")):
        log.warning("PyTorch has no fast bf16 for this CPU; --set precision=fp32 may train faster")
