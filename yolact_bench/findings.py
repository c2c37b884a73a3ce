"""What a file of the user had that was mended, left out or doubtful: findings, counted by kind."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place in the user's data, and what was the matter there."""

    kind: str  # entry of FINDINGS
    where: str  # "image 3: annotation 7"; the file and its split are added where it is printed
    text: str


LEFT_OUT = "annotation left out"

# What was done about a finding of each kind.
FINDINGS: Mapping[str, str] = {
    LEFT_OUT: "no usable box and mask: counts neither in training nor in scoring",
}


def count_kinds(findings: Iterable[Finding]) -> dict[str, int]:
    """Return the number of findings of each kind there is, in the order of FINDINGS."""
    counts = Counter(finding.kind for finding in findings)
    return {kind: counts[kind] for kind in FINDINGS if counts[kind]}
