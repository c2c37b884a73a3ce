"""Detectors set up to be called in a session, and who failed if one does."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from runners.timing.clocks import Step
from runners.timing.detection_load import PlantedNetwork, planting
from runners.timing.footprint import Caller
from runners.timing.images import Picture
from runners.timing.scenarios import CALLS, Setup, Timed
from yolact_bench.clock import Clock, no_clock
from yolact_bench.detector import Detector
from yolact_bench.spec.latency import LatencyPlan
from yolact_bench.spec.loads import Load


class TimingError(RuntimeError):
    """One arm could not be timed; `__cause__` says why. No time of its session is kept."""

    def __init__(self, arm: str) -> None:
        super().__init__(f"{arm} could not be timed")
        self.arm = arm


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedArm:
    """One arm, ready to be called; a twin shares the setup of its original."""

    scenario: str
    setup: Setup
    call: Timed
    load: str
    step: Step  # plain, without a clock of stages

    def caller(self) -> Caller:
        """Return its calls, for what they take besides time."""
        network = self.setup.detector.network
        return Caller(network=network, prepare=self.setup.prepare, step=self.step)


def timed_arms(
    detectors: Mapping[str, Detector],
    pictures: Sequence[Picture],
    scenario: str,
    plan: LatencyPlan,
    loads: Mapping[str, Load],
    stack: ExitStack,
) -> dict[str, TimedArm]:
    """Return every detector as an arm; what `loads` impose on them ends with the stack.

    Raises:
        TimingError: an arm that cannot be set up.
    """
    arms = {}
    for name, detector in detectors.items():
        load = loads.get(name)
        try:
            planted = _planted(detector, pictures, plan, load, stack)
            setup = Setup(
                detector=detector, pictures=pictures, batch_size=plan.batch_size, planted=planted
            )
            call = _guarded(name, CALLS[scenario](setup))
        except Exception as error:
            raise TimingError(name) from error
        arms[name] = TimedArm(
            scenario=scenario,
            setup=setup,
            call=call,
            load=load.name if load else "",
            step=_plain(call),
        )
    return arms


def twin_of(arm: TimedArm, name: str) -> TimedArm:
    """Return the same arm under another name."""
    call = _guarded(name, arm.call)
    return replace(arm, call=call, step=_plain(call))


def _planted(
    detector: Detector,
    pictures: Sequence[Picture],
    plan: LatencyPlan,
    load: Load | None,
    stack: ExitStack,
) -> PlantedNetwork | None:
    if load is None:
        return None
    batch = detector.preprocess([pictures[0].decoded] * plan.batch_size)
    return stack.enter_context(planting(detector, load, batch, images=len(pictures)))


def _plain(call: Timed) -> Step:
    return lambda number: call(number, no_clock)


def _guarded(name: str, call: Timed) -> Timed:
    def step(number: int, clock: Clock) -> object:
        try:
            return call(number, clock)
        except TimingError:
            raise
        except Exception as error:
            raise TimingError(name) from error

    return step
