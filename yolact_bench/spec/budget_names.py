"""Names of the budgets: how much of a schedule is trained. Nothing is imported here, for --help."""

from collections.abc import Mapping

FULL = "full"
BUDGETS: Mapping[str, str] = {
    "smoke": "2 iterations on synthetic images of 65 px: shows only that everything runs",
    "short": "a tenth of the schedule: a proxy for the full one",
    FULL: "what the spec asks for",
}
