"""The units of an ablation, those that are timed, and the session that times them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from runners.planning.arm_checks import check_each
from runners.system.environment import environment
from runners.timing.records import TimingLimits
from runners.units.check import check
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.errors import Faults, SpecError, hint
from yolact_bench.results.session_request import SessionRequest, session_for
from yolact_bench.results.sessions import Kind, Session
from yolact_bench.results.store import Store
from yolact_bench.spec.ablation import Ablation, Arm
from yolact_bench.spec.budget_names import FULL
from yolact_bench.spec.latency import PROTOCOL_VERSION
from yolact_bench.spec.run import Run


def units_to_time(
    ablation: Ablation, units: Iterable[Unit], store: Store, *, retry_failed: bool
) -> list[Unit]:
    """Return the units of the first seed but those that cannot be timed, as a failure says."""
    phases = ("train", "evaluate", "latency")
    return [
        unit
        for unit in units
        if unit.seed == ablation.seeds[0]
        and (retry_failed or not store.has_failed(unit.detect_digest, phases))
    ]


def sessions_of(
    ablation: Ablation, units: Sequence[Unit], place: Workplace, timing: TimingLimits | None
) -> list[tuple[Session | None, str]]:
    """Return what `session_of` does for each scenario."""
    limits = timing or TimingLimits()
    return [session_of(ablation, one, units, place, limits) for one in ablation.latency.scenarios]


def session_of(
    ablation: Ablation,
    scenario: str,
    units: Sequence[Unit],
    place: Workplace,
    timing: TimingLimits,
) -> tuple[Session | None, str]:
    """Return the session that times these units as asked here, or why the latest does not."""
    how = timing.apply(ablation.latency)
    runs = {unit.detect_digest: unit.run for unit in units}
    request = SessionRequest(
        digests=[unit.detect_digest for unit in units],
        kind=Kind(scenario, PROTOCOL_VERSION, how.batch_size, how.load_name),
        environment=environment(place.device),
        rel_ci=how.rel_ci,
        max_s=how.max_s,
        rounds=timing.rounds,
        twin=how.twin,
        weights_of=lambda digest: place.weights_sha256(runs[digest]),
    )
    return session_for(place.store, request)


def chosen_units(
    ablation: Ablation, place: Workplace, data_root: Path | None, only: Sequence[str]
) -> list[Unit]:
    """Return every chosen arm × seed, all arms checked. A Δ needs the baseline: it is always in."""
    names = dict.fromkeys(ablation.rows)
    faults = Faults()
    for name in only:
        if name not in names:
            faults.add(SpecError(f"--only {name}: no such arm{hint(name, names)}"))
    faults.raise_any()

    def check_arm(arm: Arm) -> tuple[Run, DatasetSpec]:
        device = place.device
        return check(arm.run, where=arm.where, data_root=data_root, device=device, place=place)

    units = []
    for arm, (run, data) in zip(ablation.arms, check_each(ablation, check_arm), strict=True):
        if not only or arm.name in (*only, ablation.baseline):
            units += units_of(ablation, arm.name, run, data)
    return units


def units_of(ablation: Ablation, arm: str, run: Run, data: DatasetSpec) -> list[Unit]:
    """Return a resolved arm with each seed; an arm's own seed is added to those of the ablation."""
    return [
        Unit(
            ablation=ablation.name,
            arm=arm,
            seed=seed,
            run=replace(run, seed=run.seed + seed),
            data=data,
            proxy=ablation.budget != FULL,
        )
        for seed in ablation.seeds
    ]
