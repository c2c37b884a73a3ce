"""A tracker for tests that look at something else."""

from collections.abc import Mapping
from pathlib import Path

from runners.tracking.tracker import Tracker
from yolact_bench.results.manifest import Manifest


class NoTracker(Tracker):
    """A tracker that keeps nothing: without a journal, each event is dropped."""

    def __init__(self) -> None:
        super().__init__(Path())

    def start(self, manifest: Manifest, spec_text: str, tags: Mapping[str, str]) -> None:
        """Open no journal."""
