"""Time the detectors of several arms together, in one process, on the same images."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import torch

from runners.timing.calls import TimedArm, timed_arms, twin_of
from runners.timing.clocks import PROBES, TIMERS, Sample, WarmUp, timer_for, warm_up
from runners.timing.device.watch import DeviceWatch, watch
from runners.timing.footprint import energies_mj, peak_memory_mb
from runners.timing.images import Picture
from runners.timing.rounds import Order, Rounds, alternate, calls_in_a_turn
from runners.timing.scenarios import Setup, images_of
from runners.timing.stages import StageTimes, stage_times
from yolact_bench.detector import Detector
from yolact_bench.results.device_facts import DeviceFacts
from yolact_bench.results.record import TimingProtocol
from yolact_bench.results.sessions import twin_fault
from yolact_bench.spec.latency import PROTOCOL_VERSION, LatencyPlan
from yolact_bench.spec.loads import Load
from yolact_bench.statistics.timing import paired_ratio

TWIN = " (twin)"  # follows the baseline's name where it is measured twice
# Warm-up lasts at least so long on a GPU, where clocks rise over hundreds of milliseconds.
_WARM_UP_SECONDS: Mapping[str, float] = {"cuda": 1.0, "cpu": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Times of one arm; of one session with every other arm of the same call of `measure`."""

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
    protocol: TimingProtocol  # how it was measured
    invalid: str  # the reason that was found while measuring, or ""
    facts: DeviceFacts  # of the machine during the session
    energy_mj: float | None  # an image; None where no GPU counts it
    inexact: int = 0  # images in timed calls for which fixed numbers of candidates were too small


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """Everything that the calls of one session gave."""

    plan: LatencyPlan
    order: Order
    device: torch.device
    timer: str
    warm: Mapping[str, WarmUp]
    found: Rounds
    stages: Mapping[str, StageTimes]
    peaks_mb: Mapping[str, float | None]
    energies_mj: Mapping[str, float | None]
    inexact: Mapping[str, int]


def measure(
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
) -> Mapping[str, Measured]:
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
    device = _common_device(detectors)
    first = baseline or next(iter(detectors))
    timer = timer or timer_for(device.type)
    with ExitStack() as stack, watch(device) as watched:
        arms = timed_arms(detectors, pictures, scenario, plan, loads or {}, stack)
        own = dict(arms)
        if plan.twin:
            arms[first + TWIN] = twin_of(arms[first], first + TWIN)
        warm, order = _warmed(arms, plan, device, scenario, first, warmup)
        order = replace(order, max_rounds=rounds, seed=seed)
        before = _inexact(own)
        found = alternate(
            {name: arm.step for name, arm in arms.items()},
            PROBES[timer],
            order,
            prepare={name: arm.setup.prepare for name, arm in arms.items()},
            between=watched.look,
        )
        inexact = {name: count - before[name] for name, count in _inexact(own).items()}
        session = _rest(own, plan, order, device, timer, warm, found, watched, inexact)
    return _told(session, own, watched.facts())


def _common_device(detectors: Mapping[str, Detector]) -> torch.device:
    devices = {detector.device for detector in detectors.values()}
    assert len(devices) == 1, f"times of different devices do not compare: {devices}"
    return devices.pop()


def _rest(
    arms: Mapping[str, TimedArm],
    plan: LatencyPlan,
    order: Order,
    device: torch.device,
    timer: str,
    warm: Mapping[str, WarmUp],
    found: Rounds,
    watched: DeviceWatch,
    inexact: Mapping[str, int],
) -> _Session:
    """Measure, after the rounds, what they do not give: stages, memory, energy."""
    stages = stage_times(
        {name: (arm.setup, arm.call) for name, arm in arms.items()},
        {name: found.ms(name) for name in arms},
        device.type,
        rounds=min(60, max(1, found.rounds // 5)),
        seconds=plan.max_s / 4,
        seed=order.seed,
    )
    callers = {name: arm.caller() for name, arm in arms.items()}
    how = {"batch_size": plan.batch_size, "seed": order.seed}
    return _Session(
        plan=plan,
        order=order,
        device=device,
        timer=timer,
        warm=warm,
        found=found,
        stages=stages,
        peaks_mb={name: peak_memory_mb(caller, device) for name, caller in callers.items()},
        energies_mj=energies_mj(callers, watched, device, max_seconds=plan.max_s / 4, **how),
        inexact=inexact,
    )


def _inexact(arms: Mapping[str, TimedArm]) -> dict[str, int]:
    """Return what each detector has counted so far; those without fixed numbers count nothing."""
    return {name: getattr(arm.setup.detector, "inexact", 0) for name, arm in arms.items()}


def _told(
    session: _Session, arms: Mapping[str, TimedArm], facts: DeviceFacts
) -> dict[str, Measured]:
    twin, fault = _twin(session.found, session.order)
    samples = session.found.samples
    return {
        name: Measured(
            scenario=arm.scenario,
            timer=session.timer,
            batch_size=session.plan.batch_size,
            samples_ms=tuple(session.found.ms(name)),
            enqueue_ms=_enqueued(samples[name], session.device),
            image_ids=_image_ids(arm.setup, session.order.period, len(samples[name])),
            stages_ms=session.stages[name].stages_ms,
            warmup=session.warm[name].calls,
            peak_memory_mb=session.peaks_mb[name],
            load=arm.load,
            protocol=_protocol(session, name, twin),
            invalid="; ".join(reason for reason in (facts.invalid, fault) if reason),
            facts=facts,
            energy_mj=session.energies_mj[name],
            inexact=session.inexact[name],
        )
        for name, arm in arms.items()
    }


def _warmed(
    arms: Mapping[str, TimedArm],
    plan: LatencyPlan,
    device: torch.device,
    scenario: str,
    baseline: str,
    warmup: int,
) -> tuple[dict[str, WarmUp], Order]:
    """Warm every arm up, and say what their rounds are like."""
    timer = TIMERS[timer_for(device.type)]

    def prepared(arm: TimedArm, number: int) -> object:
        arm.setup.prepare(number)
        return arm.step(number)

    warm = {
        name: warm_up(
            partial(prepared, arm),
            timer,
            calls=warmup,
            min_seconds=min(_WARM_UP_SECONDS[device.type], plan.max_s / 4 / len(arms)),
            max_seconds=plan.max_s / 4 / len(arms),
        )
        for name, arm in arms.items()
    }
    times = {name: [timer(partial(prepared, arm, 0))] for name, arm in arms.items()}
    return warm, Order(
        baseline=baseline,
        rel_ci=plan.rel_ci,
        max_seconds=plan.max_s,
        calls=calls_in_a_turn(times, device.type),
        period=images_of(scenario, next(iter(arms.values())).setup),
    )


def _twin(found: Rounds, order: Order) -> tuple[TimingProtocol, str]:
    """Return the fields of the baseline's second times, and what is wrong with them."""
    first = order.baseline
    if first + TWIN not in found.samples:
        return TimingProtocol(), ""
    times = found.ms(first + TWIN)
    ratio, interval = paired_ratio(
        times, found.ms(first), period=order.period, calls=order.calls, seed=order.seed
    )
    twin = TimingProtocol(
        twin_of=first,
        twin_ratio=ratio,
        twin_interval=interval or (),
        twin_samples_ms=tuple(times),
    )
    return twin, twin_fault(first, interval or (), rounds=found.rounds)


def _protocol(session: _Session, name: str, twin: TimingProtocol) -> TimingProtocol:
    found, stages = session.found, session.stages[name]
    return replace(
        twin,
        version=PROTOCOL_VERSION,
        rel_ci=session.plan.rel_ci,
        max_s=session.plan.max_s,
        rounds=found.rounds,
        calls_per_round=session.order.calls,
        baseline=session.order.baseline,
        ended=found.ended,
        half_width=found.width(name),
        warmup_stable=session.warm[name].stable,
        detections=stages.detections,
        stages_synchronised_ms=stages.synchronised_ms,
        stage_notes=stages.notes,
    )


def _image_ids(setup: Setup, period: int, count: int) -> tuple[int, ...]:
    one_turn = [setup.batch(number)[0].image_id for number in range(period)]
    return tuple(one_turn[number % period] for number in range(count))


def _enqueued(samples: Sequence[Sample], device: torch.device) -> tuple[float, ...]:
    return tuple(s.enqueue_ms for s in samples) if device.type == "cuda" else ()
