"""Latency against the number of detections or the image size; all points in one session."""

from dataclasses import dataclass, replace
from statistics import median

from runners.system.environment import environment
from runners.timing.command import Request, detectors_of, interval_of, timed, units_of
from runners.timing.images import read_pictures
from runners.timing.session import Measured
from yolact_bench.build import build_detector
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.results.curve import CurvePoint, LatencyCurve
from yolact_bench.results.sessions import why_invalid
from yolact_bench.slots import hint
from yolact_bench.spec.loads import Load, constant_load

VARIED = ("detections", "image_size")
DETECTIONS = (0, 10, 50, 100, 200)
# Of an arm's own size: 400, 550 and 700 for 550, the sizes of the papers.
_SIZES = (8 / 11, 1.0, 14 / 11)
_FOR_SIZES = 100  # detections in every image while its size is varied


@dataclass(frozen=True, slots=True)
class _Place:
    """Where on the curve an arm of the session stands."""

    arm: str
    value: int


def latency_curve(request: Request, varied: str) -> LatencyCurve:
    """Return the times of every arm at every value, one scenario, alternating.

    Detections: images have exactly so many, with 14 candidates for each, and the arm's
    `max_detections` is their number, as Fast NMS fills up to it. Image size: 100 detections.

    Raises:
        SpecError: no such curve, several scenarios, or an arm that cannot be.
    """
    if varied not in VARIED:
        raise SpecError(f"--curve {varied}: unknown{hint(varied, dict.fromkeys(VARIED))}")
    if len(request.plan.scenarios) > 1:
        raise SpecError("--scenario: a curve is of one scenario; name one")
    if request.load is not None:
        raise SpecError("--load: a curve brings its own loads; leave it out")
    detectors, loads, places = _SETUPS[varied](request)
    units = units_of(request)
    pictures = read_pictures(request.place.datasets.open(units[request.arms[0]].data, "val"))
    scenario = request.plan.scenarios[0]
    measured = timed(detectors, pictures, request, scenario=scenario, loads=loads)
    env = environment(request.place.device)
    some = next(iter(measured.values()))
    return LatencyCurve(
        varied=varied,
        scenario=scenario,
        device=env.device,
        device_type=env.device_type,
        threads=env.threads,
        timer=some.timer,
        batch_size=some.batch_size,
        points=tuple(_point(places[name], m) for name, m in measured.items()),
        notes=(_note(varied), *filter(None, [why_invalid(measured.values())])),
    )


_Setup = tuple[dict[str, Detector], dict[str, Load], dict[str, _Place]]


def _by_detections(request: Request) -> _Setup:
    units = units_of(request)
    base, _ = detectors_of(request, units)
    detectors, loads, places = {}, {}, {}
    for arm, unit in units.items():
        for count in DETECTIONS:
            name = f"{arm} @ {count}"
            run = unit.run.changed({"nms.max_detections": max(count, 1)})
            detectors[name] = build_detector(run, base[arm].network, device=request.place.device)
            loads[name], places[name] = constant_load(count), _Place(arm, count)
    return detectors, loads, places


def _by_image_size(request: Request) -> _Setup:
    units = units_of(request)
    detectors, loads, places = {}, {}, {}
    for arm, unit in units.items():
        for share in _SIZES:
            size = round(unit.run.image_size * share)
            name = f"{arm} @ {size}"
            sized = replace(request, settings=[*request.settings, f"image_size={size}"], arms=[arm])
            made, _ = detectors_of(sized, units_of(sized))
            detectors[name], loads[name] = made[arm], constant_load(_FOR_SIZES)
            places[name] = _Place(arm, size)
    return detectors, loads, places


_SETUPS = {"detections": _by_detections, "image_size": _by_image_size}


def _point(place: _Place, m: Measured) -> CurvePoint:
    found = m.protocol.detections
    return CurvePoint(
        arm=place.arm,
        value=place.value,
        median_ms=median(m.samples_ms),
        interval_ms=interval_of(m) or (),
        detections=None if found is None else found / m.batch_size,
        stages_ms={stage: median(ms) for stage, ms in m.stages_ms.items()},
        samples_ms=m.samples_ms,
    )


def _note(varied: str) -> str:
    if varied == "detections":
        return (
            "The network runs as it is; its predictions are replaced by planted ones with so many "
            "detections and 14 candidates for each. max_detections is set to their number."
        )
    return (
        "The network runs as it is; its predictions are replaced by planted ones with "
        f"{_FOR_SIZES} detections and 14 candidates for each."
    )
