"""One arm: check it before anything runs, train it or find it trained, evaluate it."""

import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from runners.arms.sole_trainer import sole_trainer
from runners.arms.validation import validation_of
from runners.evaluation.coco.score import engine_name
from runners.evaluation.files import batch_size_of
from runners.evaluation.predict import predict
from runners.evaluation.predict_sharded import predict_sharded
from runners.evaluation.score import evaluate
from runners.system.environment import environment
from runners.system.interrupt import graceful_stop
from runners.system.rank_processes import Parent, share_devices
from runners.system.ranks import ALONE, Ranks
from runners.system.retry import resumed
from runners.training.loop import Logged, TrainingOptions
from runners.training.run import Trained, found_trained, train
from runners.units.check import check as check  # noqa: PLC0414 (told of as part of an arm)
from runners.units.lr_scaling import check_shares
from runners.units.macs import macs_or_none
from yolact_bench.build import (
    build_detector,
    build_network,
    build_schedule,
    load_weights,
)
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.detector import Detector
from yolact_bench.results.files import write_atomically
from yolact_bench.results.record import Accuracy
from yolact_bench.spec.dataset.dataset import DatasetSpec
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One arm with one seed, fully resolved: what is trained and evaluated once."""

    ablation: str
    arm: str
    seed: int  # of the ablation, by which arms are paired; an arm's own `seed` is added to it
    run: Run
    data: DatasetSpec
    split: str = "val"  # what it is evaluated on; the fingerprint is in the run
    proxy: bool = False  # a shortened schedule stands in for the one that was asked for

    @property
    def title(self) -> str:
        """How progress and log lines call it."""
        return f"{self.arm} seed {self.seed}" if self.seed else self.arm


class Datasets:
    """Opened splits, kept: checking the annotations of COCO takes most of a minute."""

    def __init__(self) -> None:
        self._opened: dict[tuple[str, str], Dataset] = {}

    def open(self, data: DatasetSpec, split: str) -> Dataset:
        """Return a split, its annotations checked; the same object when asked again.

        Raises:
            SpecError: files that are missing, malformed or without any use.
        """
        key = data.fingerprint(split), split
        if key not in self._opened:
            self._opened[key] = open_dataset(data, split)
        return self._opened[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where and on what arms are carried out."""

    work_dir: Path
    device: str
    workers: int
    devices: int = 1  # that share each batch of a training, from `device` on; a CPU in parts
    validate_every: int | None = None  # iterations; None: a fifth of the schedule; 0: never
    checkpoint_seconds: float = 120.0
    compile_training: bool = False
    max_store: float = 100e9  # bytes that stored forward passes may take; 0: none is stored
    encoders: int = 0  # processes that encode masks while the device goes on
    eval_batch: int = 1  # images a forward pass
    scoring: str = "pycocotools"  # the engine
    datasets: Datasets = field(default_factory=Datasets)
    ranks: Ranks = ALONE  # where this process shares a training with others already

    def checkpoint_folder(self, run: Run) -> Path:
        """Return work/checkpoints/<train_digest>."""
        return self.work_dir / "checkpoints" / run.train_digest

    def predictions(self, digest: str) -> Path:
        """Return work/predictions/<digest>, of detections or of a stored forward pass."""
        return self.work_dir / "predictions" / digest

    def resamples(self, run: Run) -> Path:
        """Return where AP on resampled images is, or will be."""
        return self.work_dir / "resamples" / f"{run.detect_digest}.npz"

    def weights(self, run: Run) -> Path:
        """Return where the trained weights of a run are, or will be."""
        return self.checkpoint_folder(run) / "final.pt"


def trained(unit: Unit, place: Workplace) -> bool:
    """Return whether the unit's checkpoint is there."""
    return place.weights(unit.run).is_file()


def ensure_trained(unit: Unit, place: Workplace, *, on_log: Logged | None = None) -> Trained:
    """Train the unit unless its checkpoint is there; return what is known of the training.

    Raises:
        ArmError: the training cannot go on.
        KeyboardInterrupt: a stop was asked for; a checkpoint has been written.
    """
    weights, ranks, title = place.weights(unit.run), place.ranks, f"train {unit.title}"
    folder = weights.parent
    if not ranks.told_by_first(weights.is_file()):
        check_shares(build_schedule(unit.run).batch_size, max(place.devices, ranks.size))
        with graceful_stop() as stop, sole_trainer(folder, title, ranks):
            if not ranks.told_by_first(weights.is_file()):  # or while it was waited for
                ranks.first_does(lambda: write_atomically(folder / "run.yaml", run_yaml(unit.run)))
                return resumed(lambda: _train(unit, place, stop, on_log), title=title)
    (folder / "last.pt").unlink(missing_ok=True)  # of a process killed right after final.pt
    return found_trained(weights)


def _train(
    unit: Unit, place: Workplace, should_stop: Callable[[], bool], on_log: Logged | None
) -> Trained:
    if place.devices > 1 and place.ranks.size == 1:
        place.datasets.open(unit.data, "train")  # its faults, and what it downloads, come once
        return share_devices(
            _train_as_rank,
            (replace(unit, data=unit.data.portable()), replace(place, datasets=Datasets())),
            devices=place.devices,
            device=place.device,
            should_stop=should_stop,
            tell=on_log,
        )
    dataset = place.datasets.open(unit.data, "train")
    how = TrainingOptions(
        device=place.device,
        workers=place.workers,
        validate=validation_of(
            unit.run, lambda: place.datasets.open(unit.data, "val"), device=place.device
        ),
        validate_every=_validate_every(unit.run, place),
        checkpoint_seconds=place.checkpoint_seconds,
        compile_network=place.compile_training,
        on_log=on_log if place.ranks.first else None,
        should_stop=should_stop,
        ranks=place.ranks,
    )
    folder = place.checkpoint_folder(unit.run)
    return train(unit.run, folder, dataset, title=f"train {unit.title}", how=how)


def _train_as_rank(
    ranks: Ranks, device: str, parent: Parent, unit: Unit, place: Workplace
) -> Trained:
    own = replace(place, ranks=ranks, device=device)
    return _train(unit, own, parent.should_stop, parent.tell)


def evaluate_unit(unit: Unit, place: Workplace, training: Trained) -> Accuracy:
    """Return the accuracy of a trained unit, leaving its predictions on disk.

    Raises:
        ArmError: an image cannot be read.
    """
    run = unit.run
    dataset = place.datasets.open(unit.data, unit.split)
    folder = place.predictions(run.detect_digest)
    detector = trained_detector(run, place)
    predict_unit(unit, detector, place)
    scores = evaluate(dataset, folder, scoring=place.scoring)
    return Accuracy(
        ablation=unit.ablation,
        arm=unit.arm,
        seed=unit.seed,
        train_digest=run.train_digest,
        forward_digest=run.forward_digest,
        detect_digest=run.detect_digest,
        dataset=f"{unit.data.name} {unit.split}",
        eval_data=run.eval_data,
        num_images=len(dataset),
        box=scores.box,
        mask=scores.mask,
        parameters=detector.num_parameters,
        iterations=training.iterations,
        train_seconds=training.seconds,
        train_images_per_second=training.images_per_second,
        skipped_annotations=training.skipped_annotations,
        peak_memory_mb=training.peak_memory_mb,
        predictions=str(folder.relative_to(place.work_dir)),
        environment=environment(place.device),
        time=now(),
        proxy=unit.proxy,
        scoring=engine_name(place.scoring),
        eval_batch=batch_size_of(folder),
        macs=macs_or_none(run, title=unit.title),
        devices=training.devices,
    )


def predict_unit(unit: Unit, detector: Detector, place: Workplace) -> None:
    """Leave the predictions of a unit's own detector on disk, unless they are there.

    Raises:
        ArmError: an image cannot be read.
    """
    dataset = place.datasets.open(unit.data, unit.split)
    folder = place.predictions(unit.run.detect_digest)
    title = f"evaluate {unit.title}"
    if place.devices > 1:
        predict_sharded(
            unit.run,
            unit.data,
            unit.split,
            dataset,
            folder,
            file=place.weights(unit.run),
            weights=unit.run.train_digest,
            batch_size=place.eval_batch,
            device=place.device,
            devices=place.devices,
            title=title,
        )
        return
    predict(
        detector,
        dataset,
        folder,
        digest=unit.run.detect_digest,
        weights=unit.run.train_digest,
        batch_size=place.eval_batch,
        processes=place.encoders,
        title=title,
    )


def trained_detector(run: Run, place: Workplace) -> Detector:
    """Return the detector of a run with its trained weights."""
    network = build_network(run, initial=False)
    load_weights(network, place.weights(run))
    return build_detector(run, network, device=place.device)


def run_yaml(run: Run) -> str:
    """Return the resolved run as YAML that `load_detector` reads back."""
    return yaml.safe_dump(run.as_dict(), sort_keys=False, allow_unicode=True)


def now() -> str:
    """Return the time, ISO 8601 in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _validate_every(run: Run, place: Workplace) -> int:
    if place.validate_every is not None:
        return place.validate_every
    return max(1, build_schedule(run).iterations // 5)
