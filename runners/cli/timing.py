"""What `yolact-bench latency` and `yolact-bench profile` do."""

import json
from functools import partial

from reports.pages import curve_page
from reports.pages.profile_page import table, write
from reports.pages.terminal import render_table
from runners.cli.arm_commands import LatencyCommand, ProfileCommand
from runners.cli.terminal import print_fitted
from runners.profiling.profile import profile_arm
from runners.system.exit_codes import exit_if_invalid
from runners.system.output import echo
from runners.timing import command as timing
from runners.timing.curve import latency_curve
from runners.timing.request import LatencyRequest
from yolact_bench.results.serialise import to_plain
from yolact_bench.spec.latency import OWN_LOAD
from yolact_bench.work_names import REPORTS


def latency(command: LatencyCommand) -> None:
    """Print the times of arms, or their curve.

    Raises:
        SpecError: an invalid arm, weights or option.
    """
    request = LatencyRequest(
        arms=command.arms,
        weights=command.weights,
        dataset=command.dataset,
        settings=command.settings or (),
        place=command.place,
        data_root=command.data_root,
        plan=timing.plan_of(
            scenarios=tuple(command.scenario) if command.scenario else None,
            rel_ci=command.rel_ci,
            max_s=command.max_seconds,
            batch_size=command.batch,
            load=command.load,
            twin=command.twin,
        ),
        load=command.load,
        rounds=command.rounds,
    )
    if command.curve is None:
        timing.latency(request, as_json=command.as_json)
        return
    points = latency_curve(request, command.curve)
    folder = curve_page.write_curve(command.work_dir, points)
    echo(curve_page.as_json(points) if command.as_json else curve_page.as_text(points))
    echo(f"figure: {folder / 'curve.png'}", err=True)
    exit_if_invalid([points.invalid])


def profile(command: ProfileCommand) -> None:
    """Print the profile of an arm and write its figures.

    Raises:
        SpecError: an unknown name, weights that do not fit, an operator without a formula.
        TimingError: the detector failed.
    """
    load = command.load or (OWN_LOAD if command.weights is not None else "crowded_100")
    profiled = profile_arm(
        command.arm,
        device=command.place.device,
        weights=command.weights,
        settings=command.settings or (),
        plan=timing.plan_of(
            scenarios=(command.scenario,),
            batch_size=command.batch,
            max_s=command.max_seconds,
            load=load,
        ),
        scenario=command.scenario,
    )
    page = write(profiled, command.work_dir / REPORTS / f"profile-{profiled.arm}")
    if command.as_json:
        echo(json.dumps(to_plain(profiled)))
    else:
        print_fitted(partial(render_table, table(profiled), notes=True))
        echo(f"figures: {page}", err=True)
    exit_if_invalid([profiled.invalid])
