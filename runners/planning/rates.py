"""Rates of training and detection: the user's, or measured on this machine; never guessed."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.planning.user_rates import UserRates
from runners.training.checkpoint import saved_iteration
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_run
from yolact_bench.results.record import Accuracy, Latency
from yolact_bench.results.sessions import END_TO_END, read_sessions
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import ARCHITECTURE, Run
from yolact_bench.training_log import amount_in, read_log
from yolact_bench.work_names import CHECKPOINTS, LAST, LOG, RUN
from yolact_bench.yaml_source import read

log = logging.getLogger(__name__)

MIN_ITERATIONS = 20  # a shorter training measures start-up
MIN_CALLS = 10  # likewise for timing
_SAME, _ALIKE, _SAME_BACKBONE = 3, 2, 1  # how much two networks have in common


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Images per second, and how they are known."""

    per_second: float
    source: str  # text: what it was measured on, what it is scaled from

    @property
    def text(self) -> str:
        return f"{self.per_second:.3g} images/s {self.source}"

    def seconds(self, num_images: int) -> float:
        return num_images / self.per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measurement:
    """A rate and the run that it belongs to."""

    run: Run
    per_second: float
    arm: str
    verb: str = "measured on"


class Throughput:
    """Rates of training and of detection on one device, looked up by run.

    The user's rates take precedence over measured ones, a preset's over that for every training.
    A preset's are for its network and precision alone, at any image size.
    """

    def __init__(self, place: Workplace, user: UserRates, *, device: str) -> None:
        self.device = device
        self._user = user
        self._work_dir = place.work_dir
        self._runs: dict[str, Run | None] = {}  # by train digest
        self._presets = [
            _Measurement(
                run=resolve_run(PRESETS[name], data_root=None, data=False)[0],
                per_second=per_second,
                arm=name,
                verb="as given for",
            )
            for name, per_second in user.by_preset.items()
        ]
        self._training = [
            _Measurement(run=run, per_second=record.train_images_per_second, arm=record.arm)
            for record in place.store.records()
            if isinstance(record, Accuracy)
            and record.devices == 1  # else it is the rate of several, which a plan multiplies
            and record.iterations >= MIN_ITERATIONS
            and record.train_images_per_second > 0
            and (run := self._run_of(record)) is not None
        ]
        # Only end_to_end counts an image from its bytes, or its pixels, to its masks; a declared
        # load says nothing about the detections of an evaluation.
        self._detection = [
            _Measurement(
                run=run, per_second=1e3 * record.batch_size / record.median_ms, arm=record.arm
            )
            for session in read_sessions(place.store)
            if session.kind.scenario == END_TO_END and not (session.kind.load or session.invalid)
            for record in session.records.values()
            if len(record.samples_ms) >= MIN_CALLS and (run := self._run_of(record)) is not None
        ]

    def training(self, run: Run) -> Rate | None:
        """Return images per second of training a run, or None if unknown."""
        same_network = [one for one in self._presets if _differ_in_size_alone(run, one.run)]
        from_preset = _nearest(run, same_network, precision=True)
        if from_preset is not None:
            return from_preset
        if self._user.every is not None:
            return Rate(per_second=self._user.every, source="as given")
        return self._so_far(run) or _nearest(run, self._training, precision=True)

    def detection(self, run: Run) -> Rate | None:
        """Return images per second from image to masks, one at a time, or None if unknown."""
        if self._user.evaluation is not None:
            return Rate(per_second=self._user.evaluation, source="as given")
        return _nearest(run, self._detection, precision=False)

    def iterations_done(self, run: Run) -> int:
        """Return the iteration at which an interrupted training resumes; 0 without one.

        The log may have lines beyond it.
        """
        last = self._work_dir / CHECKPOINTS / run.train_digest / LAST
        try:
            return saved_iteration(last) if last.is_file() else 0
        except SpecError:  # damaged, or removed at its end: the training itself says so
            return 0

    def _so_far(self, run: Run) -> Rate | None:
        """The rate of an interrupted training: an average, so none if part of it ran elsewhere."""
        folder = self._work_dir / CHECKPOINTS / run.train_digest
        rates = [
            (line, rate)
            for line in read_log(folder / LOG)
            if (rate := amount_in(line, "images_per_second")) is not None
        ]
        here = [(line.get("device"), line.get("devices")) == (self.device, 1) for line, _ in rates]
        if not (here and all(here)) or int(str(rates[-1][0]["iteration"])) < MIN_ITERATIONS:
            return None
        return Rate(per_second=rates[-1][1], source="measured so far in it")

    def _run_of(self, record: Accuracy | Latency) -> Run | None:
        """The run of this device's record; None where its file was removed to free space."""
        if record.environment.device != self.device:
            return None
        digest = record.train_digest
        if digest not in self._runs:
            file = self._work_dir / CHECKPOINTS / digest / RUN
            self._runs[digest] = _read_run(file) if file.is_file() else None
        return self._runs[digest]


def _read_run(file: Path) -> Run | None:
    try:
        return Run.from_dict(read(file).data)
    except (SpecError, TypeError) as error:
        log.warning("%s: ignored in the estimate: %s", file, error)
        return None


def _nearest(run: Run, measurements: Sequence[_Measurement], *, precision: bool) -> Rate | None:
    """Return the rate of the same network, or of one with its backbone, scaled by image area."""
    ranked = [
        ((rank, -abs(run.image_size - one.run.image_size), index), one)
        for index, one in enumerate(measurements)
        if (rank := _likeness(run, one.run, precision=precision))
    ]
    if not ranked:
        return None
    (rank, *_), best = max(ranked, key=lambda pair: pair[0])  # the latest of equals
    size = best.run.image_size
    if rank == _SAME:
        source = f"{best.verb} {best.arm}"
    elif size == run.image_size:
        source = f"that of {best.arm}, a network much like it"
    else:
        source = f"that of {best.arm} at {size} px, scaled by image area"
    return Rate(per_second=best.per_second * (size / run.image_size) ** 2, source=source)


def _likeness(run: Run, other: Run, *, precision: bool) -> int:
    """Return how much two networks have in common; 0: too little to compare their rates."""
    same_mode = run.precision == other.precision if precision else run.runtime == other.runtime
    if run.backbone != other.backbone or not same_mode:
        return 0
    if run.image_size == other.image_size and _differ_in_size_alone(run, other):
        return _SAME
    return _ALIKE if run.dcn == other.dcn else _SAME_BACKBONE


def _differ_in_size_alone(run: Run, other: Run) -> bool:
    """Whether two networks are equal but for classes and image size, which the anchors follow."""
    free = {"classes"}
    if run.image_size != other.image_size:
        free |= {"image_size", "anchors"}
    return all(getattr(run, slot) == getattr(other, slot) for slot in set(ARCHITECTURE) - free)


def total(seconds: Iterable[float | None]) -> float | None:
    """Return the sum, or None if any is unknown."""
    values = list(seconds)
    return None if None in values else sum(value for value in values if value is not None)
