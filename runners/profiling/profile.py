"""Profile one arm: what its stages cost, how long they take, what the device could do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import torch

from runners.profiling.ceilings import measure_ceiling
from runners.system.environment import environment, now
from runners.timing.images import DRAWN, HEIGHT, WIDTH, draw_pictures
from runners.timing.session import ArmTimes, time_session
from runners.units.macs import count_stages
from runners.units.operator_cost import Cost, UncountableError, total
from runners.units.settings import parse_settings
from yolact_bench.build import build_detector, build_network, runtime_of
from yolact_bench.clock import STAGES
from yolact_bench.errors import SpecError
from yolact_bench.loads import find_load
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.profile import Profile, StageProfile
from yolact_bench.results.sessions import why_invalid
from yolact_bench.runtime.inductor import PARTS
from yolact_bench.spec.base_run import apply_settings, read_run
from yolact_bench.spec.latency import OWN_LOAD, LatencyPlan
from yolact_bench.spec.run import Run
from yolact_bench.weights.labels import with_classes_of
from yolact_bench.weights.load import load_weights

# Stages that a scenario ends before; `model` is the network alone.
_AFTER_DETECTOR = ("upsample", "copy")
_EAGER_BYTES = (
    "MB: every operator reads its arguments and writes its result, as the eager runtime does."
)
_FUSED_BYTES = (
    "MB: only what has MACs reads its arguments and writes its result, as if all else were fused."
)


def profile_arm(
    arm: str,
    *,
    device: str,
    weights: Path | None = None,
    settings: Sequence[str] = (),
    plan: LatencyPlan | None = None,
    scenario: str = "detector",
) -> Profile:
    """Return the profile of a preset, or of a resolved run.yaml, on drawn 480×640 images.

    Raises:
        SpecError: an unknown name, weights that do not fit, an operator without a formula.
        TimingError: the detector failed.
    """
    plan = plan or LatencyPlan()
    run = read_run(arm, relative_to=Path())
    run = resolve_architecture(apply_settings(run, parse_settings(settings)))
    if weights is not None:
        run = with_classes_of(weights, run)
    try:
        costs = count_stages(run)
    except UncountableError as error:
        raise SpecError(f"{arm}: {error}") from error
    network = build_network(run, initial=False)
    if weights is not None:
        load_weights(network, weights)
    name = Path(arm).stem
    detector = build_detector(run, network, device=device)
    loads = {} if plan.load == OWN_LOAD else {name: find_load(plan.load)}
    (timed,) = time_session(
        {name: detector}, draw_pictures(), scenario=scenario, plan=plan, loads=loads
    ).values()
    precision = runtime_of(run).precision
    return Profile(
        arm=name,
        weights="untrained" if weights is None else "trained",
        scenario=scenario,
        runtime=f"{run.runtime['name']} {precision}",
        batch_size=plan.batch_size,
        load=timed.load,
        images=f"{DRAWN} drawn images of {HEIGHT}×{WIDTH}",
        samples=len(timed.samples_ms),
        median_ms=median(timed.samples_ms),
        stages=stage_profiles(costs, timed, run, plan.batch_size),
        ceiling=measure_ceiling(torch.device(device), precision),
        bytes_are=_FUSED_BYTES if runtime_of(run).counts_as_fused else _EAGER_BYTES,
        peak_memory_mb=timed.peak_memory_mb,
        energy_mj=timed.energy_mj,
        environment=environment(device),
        time=now(),
        invalid=why_invalid([timed]),
    )


def stage_profiles(
    costs: Mapping[str, Cost], timed: ArmTimes, run: Run, batch_size: int
) -> tuple[StageProfile, ...]:
    """Return every stage that was counted or timed, in order of execution.

    A timed stage that is none of those counted, such as a whole graph, costs what all counted
    stages without a time of their own cost together.
    """
    ms = {stage: median(taken) for stage, taken in timed.stages_ms.items()}
    untimed = {stage: cost for stage, cost in costs.items() if stage not in ms}
    unnamed = [stage for stage in ms if stage not in STAGES]
    stages = [stage for stage in STAGES if stage in ms or (stage in costs and not unnamed)]
    counted = {stage: {stage: costs[stage]} for stage in stages if stage in costs}
    if unnamed:
        counted[unnamed[0]] = untimed
    return tuple(
        _stage(stage, counted.get(stage, {}), ms.get(stage), run, batch_size)
        for stage in (*stages, *unnamed)
        if stage in ms or _belongs(stage, timed.scenario)
    )


def _belongs(stage: str, scenario: str) -> bool:
    if scenario == "model":
        return stage in PARTS
    return scenario == "end_to_end" or stage not in _AFTER_DETECTOR


def _stage(
    name: str, costs: Mapping[str, Cost], ms: float | None, run: Run, batch_size: int
) -> StageProfile:
    cost = total(costs)
    return StageProfile(
        stage=name,
        parameters=cost.parameters,
        macs=cost.macs * batch_size,
        operations=cost.operations * batch_size,
        moved_bytes=sum(_bytes_moved(stage, of, run, batch_size) for stage, of in costs.items()),
        ms=ms,
    )


def _bytes_moved(stage: str, cost: Cost, run: Run, batch_size: int) -> int:
    """Return the traffic of a batch: weights are read once, the rest for each image.

    Counted in float32; the network of a half precision moves half of it.
    """
    runtime = runtime_of(run)
    # Outside the network nothing has weights to fuse with.
    fused = runtime.counts_as_fused and stage in PARTS
    moved = cost.fused_bytes if fused else cost.moved_bytes
    weights = min(4 * cost.parameters, moved)
    once = weights + batch_size * (moved - weights)
    half = stage in PARTS and runtime.precision != "fp32"
    return once // 2 if half else once
