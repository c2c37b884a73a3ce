"""The interface through which a running ablation or sweep reports what it does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from runners.tracking.events import Phase, Status
from runners.tracking.tags import environment_tags
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy, Environment, Failure, Latency


class Tracker(Protocol):
    """No method fails or returns anything; only `drain` and `close` wait."""

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
        """Open the parent run of one execution; `tags` go onto its children too."""

    def arm_started(self, planned: PlannedRun, phase: Phase) -> None:
        """Open the run of an arm; `phase` is what is done for it, or that its records exist."""

    def log_training(
        self, arm: str, seed: int, iteration: int, metrics: Mapping[str, float]
    ) -> None:
        """Add points to the curves of an arm, such as train/loss_box and val/mask_ap."""

    def log_record(
        self, record: Accuracy | Latency | Failure, *, reference: Latency | None = None
    ) -> None:
        """Add AP and the cost of training, or milliseconds; or end an arm's run as failed.

        `invalid` of a latency is why its whole session does not count; `reference` is the
        baseline's time of that session.
        """

    def log_artifacts(self, folder: Path) -> None:
        """Copy a folder of reports to the parent run."""

    def finish(self, status: Status) -> None:
        """End the parent run, and with the same status the arms' runs that are still open."""

    def drain(self, timeout: float = 30.0) -> None:
        """Wait until everything logged is written, so that writing disturbs no timing."""

    def close(self, timeout: float = 30.0) -> None:
        """Wait until everything is written, at most `timeout` seconds, and stop."""


class NoTracker(Tracker):
    """A tracker that keeps nothing."""
