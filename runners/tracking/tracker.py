"""The tracker: what a running ablation or sweep does is copied to MLflow from a separate thread."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from runners.tracking.delivery import LONGEST_PAUSE, Delivery
from runners.tracking.events import Artifacts, Event, ExecutionEnd, Phase, Points, Status
from runners.tracking.journal import Journal, journal_path
from runners.tracking.records import arm_event, result_event, started_event
from runners.tracking.tags import environment_tags
from runners.tracking.writer import Writer
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, Environment, Failure, Latency

log = logging.getLogger(__name__)


class Tracker:
    """Calls only add a line to the journal of the execution: none fails, and two of them wait.

    Importing and opening MLflow takes seconds and a server may be away. A `Delivery` reads the
    journal and writes to MLflow as soon as that answers; what is left when the process ends is
    written by a backfill.
    """

    def __init__(
        self,
        work_dir: Path,
        *,
        open_writer: Callable[[Path], Writer] = Writer,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._work_dir = work_dir
        self._open_writer, self._longest_pause = open_writer, longest_pause
        self._ablation = ""
        self._announced: set[tuple[str, int]] = set()
        self._journal: Journal | None = None
        self._delivery: Delivery | None = None

    @property
    def fault(self) -> str:
        """Why MLflow cannot be written, as far as is known; "" where it can."""
        return self._delivery.fault if self._delivery else ""

    @contextmanager
    def execution(self, manifest: Manifest, *, spec: Path, env: Environment) -> Iterator[None]:
        """Keep the parent run open: it ends as FINISHED, or as KILLED on any exception."""
        tags = {"spec": spec.name, **environment_tags(env)}
        self.start(manifest, spec.read_text(encoding="utf-8"), tags)
        try:
            yield
        except BaseException:
            self.finish("KILLED")
            raise
        self.finish("FINISHED")

    def start(self, manifest: Manifest, spec_text: str, tags: Mapping[str, str]) -> None:
        """Open the parent run in the experiment of the ablation; its children have `tags`, too."""
        self._ablation = manifest.name
        started = started_event(
            manifest, tags, time_ms=_now_ms(), execution=uuid.uuid4().hex[:12], spec_text=spec_text
        )
        path = journal_path(self._work_dir, started)
        try:
            self._journal = Journal(path)
        except OSError as error:
            return self._give_up(error)
        open_writer = partial(self._open_writer, self._work_dir)
        self._delivery = Delivery(path, open_writer, longest_pause=self._longest_pause)
        self._put(started)

    def arm_started(self, planned: PlannedRun, phase: Phase) -> None:
        """Open a child run with its slots as parameters and its run.yaml."""
        self._announced.add((planned.arm, planned.seed))
        self._put(arm_event(planned, phase, time_ms=_now_ms()))

    def log_training(
        self, arm: str, seed: int, iteration: int, metrics: Mapping[str, float]
    ) -> None:
        """Add points to the curves of an arm, such as train/loss_box and val/mask_ap."""
        values = dict(metrics)
        self._put(Points(time_ms=_now_ms(), arm=arm, seed=seed, step=iteration, values=values))

    def log_record(
        self, record: Accuracy | Latency | Failure, *, reference: Latency | None = None
    ) -> None:
        """Add a record to its child run, which is opened if it comes without `arm_started`.

        `invalid` of a latency is why its whole session does not count; `reference` is the
        baseline's time of that session.
        """
        key = record.arm, record.seed
        if key not in self._announced:
            phase: Phase = "latency" if isinstance(record, Latency) else "evaluate"
            self._announced.add(key)
            self._put(arm_event(record, phase, time_ms=_now_ms()))
        self._put(result_event(record, time_ms=_now_ms(), reference=reference))

    def log_artifacts(self, folder: Path) -> None:
        inside = folder.is_relative_to(self._work_dir)
        relative = folder.relative_to(self._work_dir) if inside else folder.resolve()
        self._put(Artifacts(time_ms=_now_ms(), folder=str(relative)))

    def finish(self, status: Status) -> None:
        """End the parent run, and with the same status the arms' runs that are still open."""
        self._put(ExecutionEnd(time_ms=_now_ms(), status=status))

    def drain(self, timeout: float = 30.0) -> None:
        """Wait until everything logged is written, so that writing disturbs no timing."""
        if self._delivery is not None:
            self._delivery.drain(timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Write what is left, waiting at most `timeout` seconds for it."""
        if self._delivery is None:
            return
        if not self._delivery.close(timeout):
            log.warning(
                "MLflow misses a part of this execution (%s); when it answers: "
                "yolact-bench track backfill %s --work-dir %s",
                self.fault or f"it did not finish within {timeout:.0f} s",
                self._ablation,
                self._work_dir,
            )
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _put(self, event: Event) -> None:
        if self._journal is None or self._delivery is None:
            return
        try:
            self._journal.append(event)
        except OSError as error:
            return self._give_up(error)
        self._delivery.wake(self._journal.size)

    def _give_up(self, error: OSError) -> None:
        """Continue without tracking: a tracker must not end a training."""
        self._journal = None
        log.warning("MLflow misses a part of this execution: cannot write its journal: %s", error)


def _now_ms() -> int:
    return int(time.time() * 1000)
