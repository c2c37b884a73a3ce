"""The budgets: how much of a schedule is trained. Nothing heavy is imported here, for --help."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A share of the work that a spec asks for."""

    about: str
    # Shows only that everything runs: one seed and a few rounds, nothing is expected of it.
    rehearsal: bool = False

    @property
    def warning(self) -> str:
        """What a plan says of a budget that is not the full one."""
        return f"{self.about}; not comparable with the paper"


FULL = "full"
BUDGETS: Mapping[str, Budget] = {
    "smoke": Budget(
        about="2 iterations on synthetic images of 65 px: shows only that everything runs",
        rehearsal=True,
    ),
    "short": Budget(about="a tenth of the schedule: a proxy for the full one"),
    FULL: Budget(about="what the spec asks for"),
}


def name_ending(budget: str) -> str:
    """Return what follows the name of a spec, so that its results are not the full budget's."""
    return "" if budget == FULL else f"-{budget}"


def proxy_mark(budget: str) -> str:
    """Return what follows a name in a list where the budget was not the full one."""
    return "" if budget == FULL else f" [{budget} budget: a proxy]"
