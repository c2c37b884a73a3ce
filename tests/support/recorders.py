"""Stand-ins for what records a graph and for the events in it."""

from collections.abc import Callable


class Recorder:
    """Runs what it is to record; a replay runs it again."""

    def __init__(self) -> None:
        self.recorded = self.warmed = self.replayed = 0

    def __call__(self, run: Callable[[], None], warm_up: Callable[[], None]) -> Callable[[], None]:
        warm_up()
        self.warmed += 1
        run()
        self.recorded += 1

        def replay() -> None:
            run()
            self.replayed += 1

        return replay


class Event:
    """Events 2 ms apart, in the order in which they were recorded."""

    recorded = 0

    def __init__(self) -> None:
        self.at = -1

    def record(self) -> None:
        self.at, Event.recorded = Event.recorded, Event.recorded + 1

    def synchronize(self) -> None:
        assert self.at >= 0, "waited for a mark that was never set"

    def elapsed_time(self, end: "Event") -> float:
        return 2.0 * (end.at - self.at)
