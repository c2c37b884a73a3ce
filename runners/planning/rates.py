"""Rates of training and detection: from the user, or measured on this machine; never guessed."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import yaml

from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_run
from yolact_bench.results.record import Accuracy, Latency
from yolact_bench.slots import hint
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import ARCHITECTURE, Run
from yolact_bench.spec.source import Source, read

log = logging.getLogger(__name__)

MIN_ITERATIONS = 20  # a shorter training measures start-up
MIN_ROUNDS = 10  # likewise for timing
_FLAG = "--images-per-second"
_SINGLE = ("every", "evaluation")
_SAME, _ALIKE, _SAME_BACKBONE = 3, 2, 1  # how much two networks have in common


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRates:
    """Images per second on one device, from the user; None where there is none."""

    every: float | None = None  # of every training without a preset's rate
    of_preset: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    evaluation: float | None = None  # network and detection, whatever the arm

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            SpecError: an invalid rate, or a preset that does not exist.
        """
        rates: dict[str, float | None] = {
            _FLAG: self.every,
            "--evaluation-images-per-second": self.evaluation,
        }
        for name, rate in self.of_preset.items():
            if name not in PRESETS:
                raise SpecError(f"{_FLAG} {name}: no such preset{hint(name, PRESETS)}")
            rates[f"{_FLAG} {name}="] = rate
        for where, value in rates.items():
            if value is not None and not 0 < value < float("inf"):
                raise SpecError(f"{where} {value}: expected a number above 0")


def parse_rates(
    words: Sequence[str], *, evaluation: float | None = None, file: Path | None = None
) -> UserRates:
    """Return the rates of a command line; its words take precedence over those of the file.

    Raises:
        SpecError: neither a number nor PRESET=NUMBER, or a mistake in the file.
    """
    base = UserRates() if file is None else _read_rates(file)
    every, of_preset = base.every, dict(base.of_preset)
    for word in words:
        name, equals, number = word.rpartition("=")
        try:
            rate = float(number)
        except ValueError as error:
            raise SpecError(
                f"{_FLAG} {word}: expected a number for every training, or PRESET=NUMBER, "
                "such as yolact_r101=45"
            ) from error
        if equals:
            of_preset[name] = rate
        else:
            every = rate
    return UserRates(
        every=every,
        of_preset=of_preset,
        evaluation=evaluation if evaluation is not None else base.evaluation,
    )


def _read_rates(file: Path) -> UserRates:
    """Return the rates of a YAML file: `every`, `presets` (name → rate) and `evaluation`."""
    source = read(file)
    source.check_keys((), source.data, (*_SINGLE, "presets"))
    presets = source.data.get("presets", {})
    if not isinstance(presets, Mapping):
        raise source.error(("presets",), f"expected preset: rate, got {presets!r}")
    of_preset = {str(name): _number(source, ("presets", str(name)), presets) for name in presets}
    single = {key: _number(source, (key,), source.data) for key in _SINGLE if key in source.data}
    try:
        return UserRates(of_preset=of_preset, **single)
    except SpecError as error:
        raise SpecError(f"{file}: {error}") from error


def _number(source: Source, path: tuple[str, ...], values: Mapping[str, object]) -> float:
    value = values[path[-1]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise source.error(path, f"expected images per second, got {value!r}")
    return value


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
            for name, per_second in user.of_preset.items()
        ]
        records = [
            (record, run)
            for record in place.store.records()
            if isinstance(record, Accuracy | Latency)
            and record.environment.device == device
            and (run := self._run(record.train_digest)) is not None
        ]
        self._training = [
            _Measurement(run=run, per_second=record.train_images_per_second, arm=record.arm)
            for record, run in records
            if isinstance(record, Accuracy)
            and record.iterations >= MIN_ITERATIONS
            and record.train_images_per_second > 0
        ]
        # Only end_to_end counts an image from its bytes, or its pixels, to its masks.
        self._detection = [
            _Measurement(
                run=run, per_second=1e3 * record.batch_size / record.median_ms, arm=record.arm
            )
            for record, run in records
            if isinstance(record, Latency)
            and record.scenario == "end_to_end"
            and len(record.samples_ms) >= MIN_ROUNDS
        ]

    def training(self, run: Run) -> Rate | None:
        """Return images per second of training a run, or None if unknown."""
        of_preset = _nearest(run, self._presets, precision=True)
        if of_preset is not None:
            return of_preset
        if self._user.every is not None:
            return Rate(per_second=self._user.every, source="as given")
        line = self._last_line(run)
        if line is not None and int(str(line["iteration"])) >= MIN_ITERATIONS:
            rate = float(str(line["images_per_second"]))
            return Rate(per_second=rate, source="measured so far in it")
        return _nearest(run, self._training, precision=True)

    def detection(self, run: Run) -> Rate | None:
        """Return images per second from image to masks, one at a time, or None if unknown."""
        if self._user.evaluation is not None:
            return Rate(per_second=self._user.evaluation, source="as given")
        return _nearest(run, self._detection, precision=False)

    def iterations_done(self, run: Run) -> int:
        """Return the iteration at which an interrupted training resumes; 0 without one."""
        line = self._last_line(run)
        return 0 if line is None else int(str(line["iteration"]))

    def _last_line(self, run: Run) -> dict[str, object] | None:
        folder = self._work_dir / "checkpoints" / run.train_digest
        if not (folder / "last.pt").is_file() or not (folder / "log.jsonl").is_file():
            return None
        for text in reversed((folder / "log.jsonl").read_text(encoding="utf-8").splitlines()):
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # cut off when the training was interrupted
            if "images_per_second" in line:
                assert isinstance(line, dict)
                return line
        return None

    def _run(self, train_digest: str) -> Run | None:
        """Return the run beside a checkpoint; None where it was removed to free space."""
        if train_digest not in self._runs:
            file = self._work_dir / "checkpoints" / train_digest / "run.yaml"
            self._runs[train_digest] = _read_run(file) if file.is_file() else None
        return self._runs[train_digest]


def _read_run(file: Path) -> Run | None:
    try:
        return Run.from_dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (SpecError, yaml.YAMLError, TypeError) as error:
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
    slots = [slot for slot in ARCHITECTURE if slot != "classes"]
    if all(getattr(run, slot) == getattr(other, slot) for slot in slots):
        return _SAME
    return _ALIKE if run.dcn == other.dcn else _SAME_BACKBONE


def total(seconds: Iterable[float | None]) -> float | None:
    """Return the sum, or None if any is unknown."""
    values = list(seconds)
    return None if None in values else sum(value for value in values if value is not None)
