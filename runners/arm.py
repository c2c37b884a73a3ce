"""One arm: check it before anything runs, train it or find it trained, evaluate it."""

import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml

from runners.checkpoint import load_facts
from runners.coco_map import engine_name
from runners.environment import environment
from runners.evaluate import predict, validate
from runners.interrupt import graceful_stop
from runners.macs import macs_or_none
from runners.result_files import batch_size_of
from runners.retry import resumed
from runners.scoring import evaluate
from runners.suited import check_possible
from runners.train import Logged, Trained, TrainingOptions, train
from yolact_bench.build import (
    build_detector,
    build_losses_for,
    build_network,
    build_schedule,
    load_weights,
)
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import resolve_run
from yolact_bench.results.files import write_atomically
from yolact_bench.results.record import Accuracy
from yolact_bench.spec.dataset import DatasetSpec
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)
VALIDATION_IMAGES = 64


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
    devices: int = 1  # that share each batch of a training
    validate_every: int | None = None  # iterations; None: a fifth of the schedule; 0: never
    checkpoint_seconds: float = 120.0
    compile_training: bool = False
    max_store: float = 100e9  # bytes that stored forward passes may take; 0: none is stored
    encoders: int = 0  # processes that encode masks while the device goes on
    eval_batch: int = 1  # images a forward pass
    scoring: str = "pycocotools"  # the engine
    datasets: Datasets = field(default_factory=Datasets)

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


def check(
    run: Run,
    *,
    where: str,
    data_root: Path | None,
    device: str,
    split: str = "val",
    data: bool = True,
) -> tuple[Run, DatasetSpec]:
    """Return the run resolved, with its data set, having built it on the meta device.

    Without `data` the files of the data set are not looked at.

    Raises:
        SpecError: with `where`, for anything that could be known to fail before training.
        MissingDataError: likewise, where files of the data set are not there.
    """
    try:
        resolved, spec = resolve_run(run, data_root=data_root, split=split, data=data)
        check_possible(resolved, device)
        with torch.device("meta"):
            network = build_network(resolved, initial=False)
            build_losses_for(resolved, network)
            build_schedule(resolved)
            size = resolved.image_size
            network(torch.empty(1, 3, size, size))
        build_detector(resolved, network, device="meta")
    except SpecError as error:
        raise type(error)(f"{where}: {error}") from error
    except (ValueError, RuntimeError) as error:
        raise SpecError(f"{where}: the network cannot be built: {error}") from error
    return resolved, spec


def trained(unit: Unit, place: Workplace) -> bool:
    """Return whether the unit's checkpoint is there."""
    return place.weights(unit.run).is_file()


def ensure_trained(unit: Unit, place: Workplace, *, on_log: Logged | None = None) -> Trained:
    """Train the unit unless its checkpoint is there; return what is known of the training.

    Raises:
        ArmError: the training cannot go on.
        KeyboardInterrupt: a stop was asked for; a checkpoint has been written.
    """
    folder, weights = place.checkpoint_folder(unit.run), place.weights(unit.run)
    if not weights.is_file():
        dataset = place.datasets.open(unit.data, "train")
        write_atomically(folder / "run.yaml", run_yaml(unit.run))
        with graceful_stop() as should_stop:
            how = TrainingOptions(
                device=place.device,
                workers=place.workers,
                validate=_validation(unit, place),
                validate_every=_validate_every(unit.run, place),
                checkpoint_seconds=place.checkpoint_seconds,
                compile_network=place.compile_training,
                on_log=on_log,
                should_stop=should_stop,
            )
            title = f"train {unit.title}"
            return resumed(
                lambda: train(unit.run, folder, dataset, title=title, how=how), title=title
            )
    (folder / "last.pt").unlink(missing_ok=True)  # of a process killed right after final.pt
    facts = load_facts(weights)
    return Trained(
        weights=weights,
        iterations=int(facts["iterations"]),  # type: ignore[call-overload]
        seconds=float(facts["seconds"]),  # type: ignore[arg-type]
        images_per_second=float(facts["images_per_second"]),  # type: ignore[arg-type]
        skipped_annotations=int(facts["skipped_annotations"]),  # type: ignore[call-overload]
        peak_memory_mb=facts["peak_memory_mb"],  # type: ignore[arg-type]
    )


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
    )


def predict_unit(unit: Unit, detector: Detector, place: Workplace) -> None:
    """Leave the predictions of a unit's own detector on disk, unless they are there.

    Raises:
        ArmError: an image cannot be read.
    """
    predict(
        detector,
        place.datasets.open(unit.data, unit.split),
        place.predictions(unit.run.detect_digest),
        digest=unit.run.detect_digest,
        weights=unit.run.train_digest,
        batch_size=place.eval_batch,
        processes=place.encoders,
        title=f"evaluate {unit.title}",
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


def _validation(unit: Unit, place: Workplace) -> Callable[[Yolact], Mapping[str, float]]:
    """A look at the first validation images in training; no number of a table comes from it.

    Weights change before the next look, so that compiling for one would never pay.
    """
    precision = unit.run.runtime.get("precision", "fp32")
    eager = unit.run.changed({"runtime": {"name": "eager", "precision": precision}})

    def look(network: Yolact) -> Mapping[str, float]:
        dataset = place.datasets.open(unit.data, "val")
        detector = build_detector(eager, network, device=place.device)
        scores = validate(detector, dataset, max_images=VALIDATION_IMAGES)
        found = {"mask_ap": scores.mask.ap, "mask_ap50": scores.mask.ap50, "box_ap": scores.box.ap}
        return {name: value or 0.0 for name, value in found.items()}

    return look
