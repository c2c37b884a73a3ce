"""Where and on what arms are trained and evaluated."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runners.system.ranks import ALONE, Ranks
from runners.units.unit import Unit
from yolact_bench.build import build_detector, build_network
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError, join_mistakes
from yolact_bench.file_cache import Entry, remember
from yolact_bench.findings import (
    Finding,
    count_kinds,
    counts_text,
    refuse_kinds,
    strict_kinds,
)
from yolact_bench.results.store import Store, open_store
from yolact_bench.spec.run import Run
from yolact_bench.weights.checkpoint import weights_sha256
from yolact_bench.weights.load import load_weights
from yolact_bench.work_names import CACHE, CHECKPOINTS, FINAL, PREDICTIONS, RESAMPLES, RUN

log = logging.getLogger(__name__)


class Datasets:
    """A cache of opened splits: checking the annotations of COCO takes most of a minute."""

    def __init__(self, strict: str | None = None) -> None:
        self._opened: dict[object, Dataset] = {}
        self._strict = strict_kinds(strict)

    def open(self, data: DatasetSpec, split: str) -> Dataset:
        """Return a split with checked annotations; the same object for every call.

        Raises:
            SpecError: files are missing, malformed or not usable, or have findings that are errors.
        """
        # The annotations, and where the images are: those of the training decide what is read too.
        key = (
            data.fingerprint(split, images=False),
            data.subset,
            *map(data.splits.get, (split, "train")),
        )
        if key not in self._opened:
            log.info("reading the annotations of %s %s", data.name, split)
            dataset = open_dataset(data, split)
            remedy = "`yolact-bench data check` lists them"
            self.report(f"{data.name} {split}", dataset.findings, remedy)
            self._opened[key] = dataset
        return self._opened[key]

    def is_error(self, kind: str) -> bool:
        """Return whether a finding of this kind is an error."""
        return kind in self._strict

    def report(self, title: str, findings: Sequence[Finding], remedy: str) -> None:
        """Log findings in one line; none is no line.

        Raises:
            SpecError: there is one of a kind that is an error.
        """
        refuse_kinds(title, findings, self._strict)
        if findings:
            log.warning("%s: %s; %s", title, counts_text(count_kinds(findings)), remedy)

    def open_all(self, wanted: Iterable[tuple[DatasetSpec, str]]) -> None:
        """Open splits, so that the mistakes in all of them are reported at once.

        Raises:
            SpecError: at most 20 mistakes by name, and how many more there are.
        """
        errors: dict[object, SpecError] = {}
        for data, split in wanted:
            key = data.split(split), data.classes, split
            try:
                if key not in errors:
                    self.open(data, split)
            except SpecError as error:
                errors[key] = error
        if errors:
            raise join_mistakes(list(errors.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """The work directory, the device and the options with which arms are trained and evaluated."""

    work_dir: Path
    device: str
    workers: int
    keeps_cache: bool = True  # of data sets; not where a spec is checked without a work directory
    hash_images: bool = False  # compare all bytes of images with those of earlier commands
    devices: int = 1  # that share each batch of a training, from `device` on; a CPU in parts
    validate_every: int | None = None  # iterations; None: a fifth of the schedule; 0: never
    checkpoint_seconds: float = 120.0
    compile_network: bool = False
    record_step: bool = False  # of a training, as one CUDA graph
    cudnn_benchmark: bool = False
    max_store_bytes: float = 100e9  # bytes of a stored forward pass; 0: none is stored
    encoders: int = 0  # helpers that encode masks while the device runs
    eval_batch: int = 1  # images a forward pass
    scoring: str = "pycocotools"  # the engine
    datasets: Datasets = field(default_factory=Datasets)
    ranks: Ranks = ALONE  # the processes that share a training with this one
    store: Store = field(init=False, repr=False, compare=False)  # of `work_dir`

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", open_store(self.work_dir))

    @property
    def cache(self) -> Path | None:
        """The folder for what was read of data sets; `DatasetSpec.cache`."""
        return self.work_dir / CACHE if self.keeps_cache else None

    def checkpoint_folder(self, run: Run) -> Path:
        return self.work_dir / CHECKPOINTS / run.train_digest

    def predictions(self, digest: str) -> Path:
        """Return work/predictions/<digest>; the digest is of detections or of a forward pass."""
        return self.work_dir / PREDICTIONS / digest

    def resamples(self, detect_digest: str) -> Path:
        return self.work_dir / RESAMPLES / f"{detect_digest}.npz"

    def weights(self, run: Run) -> Path:
        return self.checkpoint_folder(run) / FINAL

    def weights_sha256(self, run: Run) -> str:
        """Return the hash of the values of a run's weights, "" where there are none.

        A training repeated on a GPU has the same digest, other values.

        Raises:
            SpecError: the file is damaged, or of another training.
        """
        file = self.weights(run)
        if not file.is_file():
            return ""

        def take() -> Entry:
            return Entry(facts=weights_sha256(file, train_digest=run.train_digest), arrays={})

        return str(remember(self.cache, "weights", file, take, version=1).facts)


def is_trained(unit: Unit, place: Workplace) -> bool:
    """Return whether the unit has been trained."""
    return place.weights(unit.run).is_file()


def check_weights(run: Run, place: Workplace) -> None:
    """Check that the weights of a trained run are still there.

    Raises:
        SpecError: its checkpoint was deleted.
    """
    weights = place.weights(run)
    if not weights.is_file():
        again = f"`yolact-bench train {weights.with_name('run.yaml')} --work-dir {place.work_dir}`"
        is_known = weights.with_name(RUN).is_file()
        remedy = f"put it back, or train again with {again}" if is_known else "put it back"
        raise SpecError(f"the checkpoint {weights} was deleted; {remedy}")


def trained_detector(run: Run, place: Workplace, *, weights: Path | None = None) -> Detector:
    """Return the detector of a run with its trained weights, or with other `weights`.

    Raises:
        SpecError: no such weights, or those of another network.
    """
    if weights is None:
        check_weights(run, place)
    network = build_network(run, initial=False)
    digest = "" if weights else run.train_digest
    load_weights(network, weights or place.weights(run), classes=run.classes, train_digest=digest)
    return build_detector(run, network, device=place.device)
