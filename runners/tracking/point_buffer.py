"""Points of curves on their way to MLflow: sent in batches, each once, also after an error."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from runners.tracking.server import send

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

FLUSH_SECONDS = 5.0
_METRICS_A_BATCH = 500


class PointBuffer:
    """The points of several runs that are not sent yet; a run has one of each metric and step."""

    def __init__(self, client: "MlflowClient") -> None:
        self.sent = 0
        self._client = client
        self._points: dict[str, list[Metric]] = {}  # by run
        self._new: set[str] = set()  # runs made here whose every call was answered
        self._steps: dict[tuple[str, str], set[int]] = {}  # (run, metric) of the other runs
        self._flushed = time.monotonic()

    @property
    def waiting(self) -> bool:
        """Whether points wait to be sent."""
        return bool(self._points)

    def note_new(self, run: str) -> None:
        """Take a run as new: it has no points but those that are sent from here."""
        self._new.add(run)

    def add(self, run: str, points: Iterable["Metric"]) -> None:
        """Keep points of a run."""
        self._points.setdefault(run, []).extend(points)

    def forget_sent(self) -> None:
        """Look on the server before sending again: after an error, what was sent may be there."""
        self._new.clear()
        self._steps.clear()

    def flush(self, *, late_only: bool = False) -> None:
        """Send the points kept so far; keep those that could not be sent.

        With `late_only`, only if they have waited for `FLUSH_SECONDS` or are many.
        """
        late = time.monotonic() - self._flushed > FLUSH_SECONDS
        many = sum(map(len, self._points.values())) >= _METRICS_A_BATCH
        if late_only and not late and not many:
            return
        self._flushed = time.monotonic()
        for run in tuple(self._points):
            for batch in batches(self._missing(run, self._points[run]), _METRICS_A_BATCH):
                send(self._client.log_batch, run, metrics=batch)
                self.sent += len(batch)
            del self._points[run]

    def _missing(self, run: str, points: Iterable["Metric"]) -> list["Metric"]:
        """Return the points whose step the run does not have yet, each once."""
        once = {(point.key, point.step): point for point in points}.values()
        if run in self._new:
            return list(once)
        for name in {point.key for point in once} - {key for of, key in self._steps if of == run}:
            history = self._client.get_metric_history(run, name)
            self._steps[run, name] = {point.step for point in history}
        return [point for point in once if point.step not in self._steps[run, point.key]]


def batches(items: Sequence[T], size: int) -> list[list[T]]:
    """Return the items in lists of at most `size`."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
