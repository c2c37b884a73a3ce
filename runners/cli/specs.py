"""How commands read the spec of an ablation."""

import logging
from pathlib import Path

from reports.summary.paper import check_paper
from runners.cli.command import SpecOptions
from runners.cli.spec_commands import PlanCommand, RunCommand
from runners.planning.plan import Plan, check_arms, make_plan
from runners.units.settings import parse_settings
from yolact_bench.errors import SpecError
from yolact_bench.results.expect import check_expectation
from yolact_bench.results.text import count
from yolact_bench.spec.ablation import Ablation, load

log = logging.getLogger(__name__)


def load_spec(spec: Path, options: SpecOptions) -> Ablation:
    """Return the ablation in a file.

    Raises:
        SpecError: a mistake in the file or in the options.
    """
    settings = parse_settings(options.settings or ())
    return load(spec, settings=settings, seeds=options.seeds, budget=options.budget)


def plan_spec(spec: Path, command: RunCommand | PlanCommand) -> Plan:
    """Return the plan of an ablation, all of it checked.

    Raises:
        SpecError: whatever could be known to fail before the first arm trains.
    """
    ablation = load_spec(spec, command)
    log.info("checking %s", count(len(ablation.arms), "arm"))
    check_texts(ablation)
    check_arms(ablation)
    return make_plan(
        ablation,
        place=command.place,
        data_root=command.data_root,
        only=command.only or (),
        timing=command.timing,
        retry_failed=command.retry_failed,
    )


def check_texts(ablation: Ablation) -> None:
    """Check the expectations of an ablation and the rows of a paper that it names.

    Raises:
        SpecError: an expectation that cannot be read or names an unknown arm, or unknown rows.
    """
    where = ablation.file
    try:
        if ablation.paper is not None:
            check_paper(ablation.paper, list(ablation.paper_rows.values()))
        where = f"{ablation.file}: expect"
        for text in ablation.expect:
            check_expectation(text, ablation.rows)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
