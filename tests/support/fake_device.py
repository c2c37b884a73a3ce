"""A device whose stream runs behind the host."""


class FakeDevice:
    """One stream: work is queued at once and done later; the host need not wait for it."""

    def __init__(self) -> None:
        self.done_at = 0.0  # when everything queued so far is done, in ms
        self.host_waits = 0

    def launch(self, ms: float) -> None:
        self.done_at += ms

    def event(self) -> "FakeEvent":
        return FakeEvent(self)


class FakeEvent:
    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        self.at: float | None = None

    def record(self) -> None:
        self.at = self.device.done_at

    def synchronize(self) -> None:
        self.device.host_waits += 1

    def elapsed_time(self, end: "FakeEvent") -> float:
        assert self.at is not None
        assert end.at is not None
        return end.at - self.at
