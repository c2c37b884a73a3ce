"""Latency against the number of detections or the image size; all points in one session."""

from dataclasses import replace
from statistics import median

from runners.system.environment import environment
from runners.timing.request import LatencyRequest
from runners.timing.session import ArmTimes
from yolact_bench.build import build_detector
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError, hint
from yolact_bench.loads import Load, constant_load
from yolact_bench.ranges import SMALLEST_IMAGE
from yolact_bench.results.curve import CurvePoint, LatencyCurve
from yolact_bench.results.sessions import why_invalid

DETECTIONS = (0, 10, 50, 100, 200)
# Of an arm's own size: 400, 550 and 700 for 550, the sizes of the papers.
_SIZES = (8 / 11, 1.0, 14 / 11)
_FOR_SIZES = 100  # detections in every image while its size is varied


# Detectors and loads by name, and the arm and the value that each is a point for.
_Setup = tuple[dict[str, Detector], dict[str, Load], dict[str, tuple[str, int]]]


def latency_curve(request: LatencyRequest, varied: str) -> LatencyCurve:
    """Return the times of every arm at every value, one scenario, alternating.

    Detections: each image has exactly that number, with 14 candidates for each, and so has the
    arm's `max_detections`, up to which Fast NMS fills. Image size: 100 detections.

    Raises:
        SpecError: no such curve, several scenarios, or an invalid arm.
    """
    if varied not in _VARIED:
        raise SpecError(f"--curve {varied}: unknown{hint(varied, _VARIED)}")
    if len(request.plan.scenarios) > 1:
        named = ", ".join(request.plan.scenarios)
        raise SpecError(f"--curve needs exactly one --scenario, got {named}; write one of them")
    if request.load is not None:
        raise SpecError("--curve sets the loads itself; leave --load out")
    set_up, note = _VARIED[varied]
    detectors, loads, positions = set_up(request)
    (scenario,) = request.plan.scenarios
    times = request.times(scenario, request.units(), detectors, loads)
    env = environment(request.place.device)
    some = next(iter(times.values()))
    return LatencyCurve(
        varied=varied,
        scenario=scenario,
        device=env.device,
        device_type=env.device_type,
        threads=env.threads,
        timer=some.timer,
        batch_size=some.batch_size,
        points=tuple(_point(*positions[name], m) for name, m in times.items()),
        notes=(note,),
        invalid=why_invalid(times.values()),
    )


def sizes_around(own: int) -> list[int]:
    """Return the sizes at which an arm of that size is timed, none below what a network takes."""
    return sorted({max(SMALLEST_IMAGE, round(own * share)) for share in _SIZES})


def _by_detections(request: LatencyRequest) -> _Setup:
    units = request.units()
    base, _ = request.detectors(units)
    detectors, loads, positions = {}, {}, {}
    for arm, unit in units.items():
        for count in DETECTIONS:
            name = f"{arm} @ {count}"
            run = unit.run.changed({"nms.max_detections": max(count, 1)})
            detectors[name] = build_detector(run, base[arm].network, device=request.place.device)
            loads[name], positions[name] = constant_load(count), (arm, count)
    return detectors, loads, positions


def _by_image_size(request: LatencyRequest) -> _Setup:
    detectors, loads, positions = {}, {}, {}
    for arm, unit in request.units().items():
        for size in sizes_around(unit.run.image_size):
            name = f"{arm} @ {size}"
            sized = replace(request, settings=[*request.settings, f"image_size={size}"], arms=[arm])
            detectors[name] = sized.detectors(sized.units())[0][arm]
            loads[name], positions[name] = constant_load(_FOR_SIZES), (arm, size)
    return detectors, loads, positions


def _point(arm: str, value: int, m: ArmTimes) -> CurvePoint:
    per_call = m.protocol.detections
    return CurvePoint(
        arm=arm,
        value=value,
        median_ms=median(m.samples_ms),
        interval_ms=m.interval_ms or (),
        detections=None if per_call is None else per_call / m.batch_size,
        stages_ms={stage: median(ms) for stage, ms in m.stages_ms.items()},
        samples_ms=m.samples_ms,
    )


_NOTE = (
    "The network runs as it is; its predictions are replaced by a load of {} detections and 14 "
    "candidates for each{}"
)
_VARIED = {
    "detections": (
        _by_detections,
        _NOTE.format("that number of", ", and max_detections is set to it."),
    ),
    "image_size": (_by_image_size, _NOTE.format(_FOR_SIZES, ".")),
}
