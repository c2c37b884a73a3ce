"""MLflow: a copy of what happens, for browsing. The result store is the truth."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from runners.tracking.metrics import accuracy_metrics, latency_metrics
from runners.tracking.writer import FLUSH_SECONDS, Phase, Status, Writer, store_uri
from yolact_bench.results.manifest import PlannedRun
from yolact_bench.results.record import Accuracy, Failure, Latency

__all__ = ["MlflowTracker", "NoTracker", "Phase", "Status", "Tracker", "store_uri"]

log = logging.getLogger(__name__)

_LONGEST_QUEUE = 20_000


class Tracker(Protocol):
    """Where a running ablation tells what it does. No method waits, fails or returns a thing."""

    def start(self, ablation: str, spec_text: str, tags: Mapping[str, str]) -> None:
        """Open the parent run of one execution; `tags` go onto its children too."""

    def arm_started(self, planned: PlannedRun, phase: Phase) -> None:
        """Open the run of an arm; `phase` says what it does itself and what it reuses."""

    def log_training(
        self, arm: str, seed: int, iteration: int, metrics: Mapping[str, float]
    ) -> None:
        """Add points to curves, under the names given: train/loss_box, val/mask_ap."""

    def log_accuracy(self, accuracy: Accuracy) -> None:
        """Add an arm's AP."""

    def log_latency(self, latency: Latency) -> None:
        """Add an arm's milliseconds."""

    def log_failure(self, failure: Failure) -> None:
        """End an arm's run as failed."""

    def log_artifacts(self, folder: Path) -> None:
        """Copy a folder of reports to the parent run."""

    def finish(self, status: Status) -> None:
        """End the parent run and every arm's run that is still open."""

    def drain(self, timeout: float = 30.0) -> None:
        """Wait until what was told is written, so that writing disturbs no timing."""

    def close(self, timeout: float = 30.0) -> None:
        """Wait until everything is written, at most `timeout` seconds, and stop."""


class NoTracker(Tracker):
    """A tracker that keeps nothing."""


class MlflowTracker(Tracker):
    """A `Tracker` that copies to MLflow from a thread of its own.

    Importing and opening MLflow takes seconds and a server may be away, so every call is put
    into a queue. A call that fails is dropped with one warning for the whole execution.
    """

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._warned = self._broken = False
        self._writer: Writer | None = None
        self._queue: queue.Queue[Callable[[Writer], None] | None] = queue.Queue(_LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._serve, name="mlflow", daemon=True)
        self._thread.start()

    def start(self, ablation: str, spec_text: str, tags: Mapping[str, str]) -> None:
        """Open the parent run, in the experiment named after the ablation."""
        self._put(lambda writer: writer.start(ablation, spec_text, tags))

    def arm_started(self, planned: PlannedRun, phase: Phase) -> None:
        """Open a child run with its slots as parameters and its run.yaml."""
        self._put(lambda writer: writer.arm_started(planned, phase))

    def log_training(
        self, arm: str, seed: int, iteration: int, metrics: Mapping[str, float]
    ) -> None:
        """Add points to the curves of a child run."""
        now, points = _now_ms(), dict(metrics)
        self._put(lambda writer: writer.add(arm, seed, points, now, iteration))

    def log_accuracy(self, accuracy: Accuracy) -> None:
        """Add mask/AP, box/AP and the cost of training to a child run."""
        now = _now_ms()
        self._put(lambda writer: writer.log_record(accuracy, accuracy_metrics(accuracy), now))

    def log_latency(self, latency: Latency) -> None:
        """Add latency/e2e_p50_ms and the stages to a child run."""
        now = _now_ms()
        self._put(lambda writer: writer.log_record(latency, latency_metrics(latency), now))

    def log_failure(self, failure: Failure) -> None:
        """End a child run as failed, with the reason as tags."""
        self._put(lambda writer: writer.log_failure(failure))

    def log_artifacts(self, folder: Path) -> None:
        """Copy a folder to the parent run's artifacts."""
        self._put(lambda writer: writer.log_artifacts(folder))

    def finish(self, status: Status) -> None:
        """End the parent run, and with the same status the children still open."""
        self._put(lambda writer: writer.finish(status))

    def drain(self, timeout: float = 30.0) -> None:
        """Wait until the queue is empty, at most `timeout` seconds."""
        self._put(_flush)
        waiting = self._queue
        with waiting.all_tasks_done:
            waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Wait until the queue is empty and the thread has ended, at most `timeout` seconds."""
        end = time.monotonic() + timeout
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            self._warn("it is too far behind")
            return
        self._thread.join(max(0.0, end - time.monotonic()))
        if self._thread.is_alive():
            self._warn(f"it did not finish within {timeout:.0f} s")

    def _put(self, call: Callable[[Writer], None]) -> None:
        try:
            self._queue.put_nowait(call)
        except queue.Full:
            self._warn("it is too far behind")

    def _serve(self) -> None:
        while True:
            try:
                call = self._queue.get(timeout=FLUSH_SECONDS)
            except queue.Empty:
                self._try(_flush)
                continue
            if call is not None:
                self._try(call)
            self._queue.task_done()
            if call is None:
                return

    def _try(self, call: Callable[[Writer], None]) -> None:
        if self._broken or (self._writer is None and call is _flush):
            return
        try:
            self._writer = self._writer or Writer(self._work_dir)
            call(self._writer)
        except Exception as error:  # any: a tracker must not end a training
            # Without a parent run nothing that follows has a place.
            self._broken = self._writer is None or not self._writer.has_parent
            self._warn(f"{type(error).__name__}: {error}")

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            first_line = reason.strip().splitlines()[0][:300]
            log.warning("MLflow misses a part of this execution: %s", first_line)


def _flush(writer: Writer) -> None:
    writer.flush()


def _now_ms() -> int:
    return int(time.time() * 1000)
