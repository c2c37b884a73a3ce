"""One timing session: the detectors of several arms in alternating rounds, in one process.

One file: each step of a session needs what the steps before it have measured.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import torch

from runners.timing.calls import PreparedArm, detections_in
from runners.timing.clocks import TIMERS, NumberedCall, timer_for, warm_up
from runners.timing.device.watch import DeviceWatch, watch
from runners.timing.footprint import energy_per_image, peak_memory_mb
from runners.timing.images import Picture
from runners.timing.rounds import RoundOptions, alternate, calls_in_a_turn
from runners.timing.stages import stage_times
from yolact_bench.detector import Detector
from yolact_bench.loads import Load
from yolact_bench.results.device_facts import DeviceFacts, twin_fault
from yolact_bench.results.record import TimingProtocol
from yolact_bench.spec.latency import PROTOCOL_VERSION, LatencyPlan
from yolact_bench.statistics.timing import Interval, median_interval, paired_ratio, period_of

TWIN = " (twin)"  # follows the baseline's name where it is timed twice
# Minimum length of the warm-up on a GPU, where clocks rise over hundreds of milliseconds.
_WARM_UP_SECONDS: Mapping[str, float] = {"cuda": 1.0, "cpu": 0.0}
_MOST_STAGE_ROUNDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTimes:
    """Times of one arm; of one session with every other arm of the same `time_session`."""

    scenario: str
    timer: str
    batch_size: int
    samples_ms: tuple[float, ...]  # of every call
    enqueue_ms: tuple[float, ...]  # until each call returned to the host; empty on a CPU
    image_ids: tuple[int, ...]  # of the (first) image of each call, the same for every arm
    stages_ms: Mapping[str, tuple[float, ...]]  # from rounds of their own, whose sum is no sample
    warmup: int  # calls before the first sample
    peak_memory_mb: float | None  # weights and the most that one call needs; None on CPU
    load: str  # declared detection load, or "" for the arm's own detections
    protocol: TimingProtocol
    invalid: str  # the reason that was found while measuring, or ""
    facts: DeviceFacts  # of the machine during the session
    energy_mj: float | None  # an image; None without a GPU's counter
    inexact: int = 0  # images in timed calls for which fixed numbers of candidates were too small
    unfolded_norms: int = 0  # batch norms that could not be folded

    @property
    def interval_ms(self) -> Interval | None:
        return median_interval(self.samples_ms, **self._resampling())

    def ratio(self, reference: "ArmTimes") -> tuple[float, Interval | None]:
        """Ratio of the median times to another arm's of the session, and its 95 % interval."""
        return paired_ratio(self.samples_ms, reference.samples_ms, **self._resampling())

    def _resampling(self) -> dict[str, int]:
        return {"period": period_of(self.image_ids), "calls": self.protocol.calls_per_round}


def time_session(
    detectors: Mapping[str, Detector],
    pictures: Sequence[Picture],
    *,
    scenario: str = "end_to_end",
    plan: LatencyPlan | None = None,
    baseline: str | None = None,
    loads: Mapping[str, Load] | None = None,
    rounds: int | None = None,
    warmup: int = 10,
    seed: int = 0,
    timer: str | None = None,
) -> Mapping[str, ArmTimes]:
    """Return the times of every detector in one scenario.

    In each round every detector has one turn, in a freshly drawn order, on the round's images;
    images take turns. The rounds end when the intervals of all ratios to the baseline (the
    first, unless named) and of its own median are as narrow as the plan says, or with its time;
    or after `rounds`. Warm-up may take a quarter of that time more, and the split into stages,
    in rounds of its own, another quarter. `loads` are imposed on the arms that they name. The
    timer is the device's own, unless one of `TIMERS` is named.

    Raises:
        TimingError: a detector failed.

    Source: the shape of MLPerf Inference's single-stream scenario (arXiv:1911.02549), with the
    arms interleaved.
    """
    assert detectors and pictures
    plan = plan or LatencyPlan()
    devices = {detector.device for detector in detectors.values()}
    assert len(devices) == 1, f"times of different devices do not compare: {devices}"
    (device,) = devices
    with ExitStack() as stack, watch(device) as watched:
        arms = {
            name: PreparedArm(
                name,
                detector,
                pictures,
                scenario=scenario,
                batch_size=plan.batch_size,
                load=(loads or {}).get(name),
                stack=stack,
            )
            for name, detector in detectors.items()
        }
        round_options = RoundOptions(
            baseline=baseline or next(iter(arms)),
            rel_ci=plan.rel_ci,
            max_seconds=plan.max_s,
            max_rounds=rounds,
            period=next(iter(arms.values())).period,
            seed=seed,
        )
        session = TimingSession(arms, plan, round_options, timer or timer_for(device.type), device)
        session.warm_up(calls=warmup)
        session.run_rounds(watched)
        session.measure_rest(watched)
    return session.times(watched.facts())


class TimingSession:
    """Arms on one device: warm-up, alternating rounds, then what the rounds do not give."""

    def __init__(
        self,
        arms: Mapping[str, PreparedArm],
        plan: LatencyPlan,
        round_options: RoundOptions,
        timer: str,
        device: torch.device,
    ) -> None:
        """Add the baseline's twin where the plan asks for one."""
        self.arms, self.plan, self.round_options = arms, plan, round_options
        self.timer, self.device, self.on_gpu = timer, device, device.type == "cuda"
        self.alternating, baseline = dict(arms), round_options.baseline
        if plan.twin:
            self.alternating[baseline + TWIN] = arms[baseline].twin()
        self.inexact: dict[str, dict[int, int]] = {name: {} for name in self.alternating}

    def warm_up(self, *, calls: int) -> None:
        """Warm every arm up, and find out how often it is called in its turn."""
        timer = TIMERS[timer_for(self.device.type)]
        most = self.plan.max_s / 4 / len(self.alternating)
        least = min(_WARM_UP_SECONDS[self.device.type], most)
        self.warm = {
            name: warm_up(arm, timer, calls=calls, min_seconds=least, max_seconds=most)
            for name, arm in self.alternating.items()
        }
        times = {name: [timer(partial(arm, 0)).ms] for name, arm in self.alternating.items()}
        turn = calls_in_a_turn(times, self.device.type)
        self.round_options = replace(self.round_options, calls=turn)

    def run_rounds(self, watched: DeviceWatch) -> None:
        self.rounds = alternate(
            {name: self._counting(name, arm.call) for name, arm in self.alternating.items()},
            TIMERS[self.timer],
            self.round_options,
            prepare=lambda name, call: self.alternating[name].prepare(call),
            between=watched.look,
        )

    def measure_rest(self, watched: DeviceWatch) -> None:
        """Measure stages, memory and energy, in calls of their own."""
        share, seed = self.plan.max_s / 4, self.round_options.seed
        self.stages = stage_times(
            self.arms,
            {name: self.rounds.ms(name) for name in self.arms},
            self.device.type,
            rounds=min(_MOST_STAGE_ROUNDS, max(1, self.rounds.rounds // 5)),
            seconds=share,
            seed=seed,
        )
        self.peaks_mb = {name: peak_memory_mb(arm, self.device) for name, arm in self.arms.items()}
        self.energies_mj = energy_per_image(  # none on a CPU, which has no counter
            self.arms,
            lambda: watched.energy_mj,
            batch_size=self.plan.batch_size,
            max_seconds=share,
            seed=seed,
            wait=self._wait,
        )

    def _wait(self) -> None:
        """Wait for the GPU; a CPU has nothing outstanding."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def times(self, facts: DeviceFacts) -> dict[str, ArmTimes]:
        """Return what is kept of each arm; the twin's times are part of the protocol."""
        twin, fault = self._twin()
        invalid = "; ".join(filter(None, (facts.invalid, fault)))
        samples = self.rounds.samples
        return {
            name: ArmTimes(
                scenario=arm.scenario,
                timer=self.timer,
                batch_size=arm.batch_size,
                samples_ms=tuple(self.rounds.ms(name)),
                enqueue_ms=tuple(s.enqueue_ms for s in samples[name] if self.on_gpu),
                image_ids=arm.image_ids(len(samples[name])),
                stages_ms=self.stages[name].stages_ms,
                warmup=self.warm[name].calls,
                peak_memory_mb=self.peaks_mb[name],
                load=arm.load,
                protocol=self._protocol(name, twin),
                invalid=invalid,
                facts=facts,
                energy_mj=self.energies_mj[name],
                inexact=sum(self.inexact[name].values()),
                unfolded_norms=arm.detector.unfolded_norms,
            )
            for name, arm in self.arms.items()
        }

    def _counting(self, name: str, call: NumberedCall) -> NumberedCall:
        """The call, noting for how many images fixed numbers of candidates were too small.

        An untimed call that wakes the device has the number of the timed one that follows, whose
        note replaces its own.
        """

        def step(number: int) -> object:
            result = call(number)
            self.inexact[name][number] = sum(not one.exact for one in detections_in(result) or ())
            return result

        return step

    def _twin(self) -> tuple[TimingProtocol, str]:
        """The fields of the baseline's second times, and what is wrong with them."""
        if not self.plan.twin:
            return TimingProtocol(), ""
        plan, first = self.round_options, self.round_options.baseline
        times, reference = self.rounds.ms(first + TWIN), self.rounds.ms(first)
        ratio, of_ratio = paired_ratio(times, reference, period=plan.period, calls=plan.calls)
        interval = of_ratio or ()
        twin = TimingProtocol(
            twin_of=first, twin_ratio=ratio, twin_interval=interval, twin_samples_ms=tuple(times)
        )
        return twin, twin_fault(first, interval, rounds=self.rounds.rounds)

    def _protocol(self, name: str, twin: TimingProtocol) -> TimingProtocol:
        stages = self.stages[name]
        return replace(
            twin,
            version=PROTOCOL_VERSION,
            rel_ci=self.plan.rel_ci,
            max_s=self.plan.max_s,
            rounds=self.rounds.rounds,
            calls_per_round=self.round_options.calls,
            baseline=self.round_options.baseline,
            ended=self.rounds.ended,
            half_width=self.rounds.width(name),
            warmup_stable=self.warm[name].stable,
            detections=stages.detections,
            stages_synchronised_ms=stages.synchronised_ms,
            stage_notes=stages.notes,
        )
