"""How commands read the spec of an ablation."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.summary.paper import check_paper
from runners.planning.plan import Plan, check_arms, check_claims, make_plan
from runners.units.settings import parse_settings
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.results.store import Store
from yolact_bench.results.text import count
from yolact_bench.spec.ablation import Ablation, load
from yolact_bench.spec.budget import FULL

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecOptions:
    """What the command line changes in a spec, and where its data is."""

    settings: Sequence[str] = ()  # PATH=VALUE
    only: Sequence[str] = ()
    seeds: int | None = None
    budget: str = FULL
    data_root: Path | None = None

    def load(self, spec: Path) -> Ablation:
        """Return the ablation in a file.

        Raises:
            SpecError: a mistake in the file or in the options.
        """
        settings = parse_settings(self.settings)
        return load(spec, settings=settings, seeds=self.seeds, budget=self.budget)

    def plan(self, spec: Path, place: Workplace, store: Store) -> Plan:
        """Return the plan of an ablation, all of it checked.

        Raises:
            SpecError: whatever could be known to fail before the first arm trains.
        """
        ablation = self.load(spec)
        log.info("checking %s", count(len(ablation.arms), "arm"))
        check_texts(ablation)
        check_arms(ablation)
        return make_plan(
            ablation, place=place, store=store, data_root=self.data_root, only=self.only
        )


def check_texts(ablation: Ablation) -> None:
    """Check the expectations of an ablation and the rows of a paper that it names.

    Raises:
        SpecError: an expectation that cannot be read or names an unknown arm, or unknown rows.
    """
    if ablation.paper is not None:
        try:
            check_paper(ablation.paper, list(ablation.paper_rows.values()))
        except SpecError as error:
            raise SpecError(f"{ablation.file}: {error}") from error
    check_claims(ablation)
