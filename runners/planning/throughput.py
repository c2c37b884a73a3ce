"""How fast this machine is, from what this work directory has measured; never a guess."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from runners.planning.rates import GivenRates
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_run
from yolact_bench.results.record import Accuracy, Latency
from yolact_bench.results.store import Store
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import ARCHITECTURE, Run

log = logging.getLogger(__name__)

MIN_ITERATIONS = 20  # the rate of fewer is that of starting up
MIN_ROUNDS = 10  # of timing, likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Images per second, and how they are known."""

    per_second: float
    source: str  # for people: measured on what, scaled from what


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """A rate that a record holds, and the run it was measured on."""

    run: Run
    per_second: float
    arm: str
    known: str = "measured on"


class Throughput:
    """Rates of training and of detection on one device, looked up by run.

    What is given goes before what was measured, a preset's rate before that of every training.
    """

    def __init__(self, store: Store, work_dir: Path, *, device: str, given: GivenRates) -> None:
        self.device = device
        self._given = given
        self._given_of = _of_presets(given.of_preset)
        self._runs: dict[str, Run | None] = {}
        self._work_dir = work_dir
        records = [r for r in store.records() if not _elsewhere(r, device)]
        trained = [r for r in records if isinstance(r, Accuracy)]
        # Only these count an image from its bytes, or its pixels, to its masks.
        whole = "end_to_end"
        timed = [r for r in records if isinstance(r, Latency) and r.scenario == whole]
        self._training = self._known(
            (r.train_digest, r.train_images_per_second, r.arm)
            for r in trained
            if r.iterations >= MIN_ITERATIONS
        )
        self._detection = self._known(
            (r.train_digest, 1e3 * r.batch_size / r.median_ms, r.arm)
            for r in timed
            if len(r.samples_ms) >= MIN_ROUNDS
        )

    def training(self, run: Run) -> Rate | None:
        """Return images per second of training a run, or None where nothing is known."""
        like_a_preset = _nearest(run, self._given_of, precision=True)
        if like_a_preset is not None:
            return like_a_preset
        if self._given.every is not None:
            return Rate(per_second=self._given.every, source="as given")
        own = self._own_log(run)
        if own is not None:
            return own
        return _nearest(run, self._training, precision=True)

    def detection(self, run: Run) -> Rate | None:
        """Return images per second from image to masks, one at a time, or None if unknown."""
        if self._given.evaluation is not None:
            return Rate(per_second=self._given.evaluation, source="as given")
        return _nearest(run, self._detection, precision=False)

    def iterations_done(self, run: Run) -> int:
        """Return where an interrupted training of this run would go on; 0 without one."""
        line = self._last_line(run)
        return 0 if line is None else int(str(line["iteration"]))

    def _own_log(self, run: Run) -> Rate | None:
        """The training itself has begun: nothing knows its rate better."""
        line = self._last_line(run)
        if line is None or int(str(line["iteration"])) < MIN_ITERATIONS:
            return None
        return Rate(
            per_second=float(str(line["images_per_second"])), source="measured so far in it"
        )

    def _last_line(self, run: Run) -> dict[str, object] | None:
        folder = self._work_dir / "checkpoints" / run.train_digest
        if not (folder / "last.pt").is_file() or not (folder / "log.jsonl").is_file():
            return None
        for text in reversed((folder / "log.jsonl").read_text(encoding="utf-8").splitlines()):
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # torn by what stopped the training
            if "images_per_second" in line:
                assert isinstance(line, dict)
                return line
        return None

    def _known(self, rows: Iterable[tuple[str, float, str]]) -> list[_Measured]:
        known = []
        for digest, per_second, arm in rows:
            run = self._run_of(digest)
            if run is not None and per_second > 0:
                known.append(_Measured(run=run, per_second=per_second, arm=arm))
        return known

    def _run_of(self, train_digest: str) -> Run | None:
        """Return the run that was trained, from beside its checkpoint."""
        if train_digest not in self._runs:
            self._runs[train_digest] = _read_run(
                self._work_dir / "checkpoints" / train_digest / "run.yaml"
            )
        return self._runs[train_digest]


def _of_presets(rates: Mapping[str, float]) -> list[_Measured]:
    return [
        _Measured(
            run=resolve_run(PRESETS[name], data_root=None, data=False)[0],
            per_second=per_second,
            arm=name,
            known="as given for",
        )
        for name, per_second in rates.items()
    ]


def _read_run(file: Path) -> Run | None:
    try:
        return Run.from_dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None  # removed to free space: the rate stays unknown
    except (SpecError, yaml.YAMLError, TypeError) as error:
        log.warning("%s: not used for the estimate: %s", file, error)
        return None


def _elsewhere(record: object, device: str) -> bool:
    return not isinstance(record, Accuracy | Latency) or record.environment.device != device


def _nearest(run: Run, known: Sequence[_Measured], *, precision: bool) -> Rate | None:
    """Return the rate of the same network, or of one with its backbone, scaled by image area."""
    best: tuple[tuple[int, int], _Measured] | None = None
    for measured in known:
        rank = _likeness(run, measured.run, precision=precision)
        if rank is None:
            continue
        distance = -abs(run.image_size - measured.run.image_size)
        if best is None or (rank, distance) >= best[0]:  # the latest of equals
            best = (rank, distance), measured
    if best is None:
        return None
    (rank, _), measured = best
    theirs = measured.run.image_size
    rate = measured.per_second * (theirs / run.image_size) ** 2
    if rank == _SAME:
        return Rate(per_second=rate, source=f"{measured.known} {measured.arm}")
    if theirs == run.image_size:
        return Rate(per_second=rate, source=f"that of {measured.arm}, a network much like it")
    return Rate(
        per_second=rate, source=f"that of {measured.arm} at {theirs} px, scaled by image area"
    )


_SAME, _ALIKE, _SAME_BACKBONE = 3, 2, 1


def _likeness(run: Run, other: Run, *, precision: bool) -> int | None:
    if run.backbone != other.backbone or (precision and run.precision != other.precision):
        return None
    if run.runtime != other.runtime and not precision:
        return None
    slots = [slot for slot in ARCHITECTURE if slot != "classes"]
    if all(getattr(run, slot) == getattr(other, slot) for slot in slots):
        return _SAME
    return _ALIKE if run.dcn == other.dcn else _SAME_BACKBONE
