"""Where a number comes from: digests, commit, device, and the command that measures it again."""

import shlex

from reports.aggregate import Summary
from reports.table import Table
from yolact_bench.results.record import Accuracy, Environment

DASH = "—"


def anchor(place: int) -> str:
    """Return the name by which other tables point at the first line of the arm in that place."""
    return f"from-{place}"


def origin(accuracy: Accuracy, seed: int) -> str:
    """Return the origin of one accuracy in one line."""
    return (
        f"seed {seed}: run {accuracy.detect_digest}, commit {commit(accuracy.environment)}, "
        f"{accuracy.environment.device}, {accuracy.time}"
    )


def commit(environment: Environment) -> str:
    """Return the commit, and whether the source had changes beyond it."""
    return f"{environment.commit}{' + changes' if environment.dirty else ''}"


def command(summary: Summary, arm: str) -> str:
    """Return the command that measures one arm, and the baseline, again."""
    return f"{summary.manifest.command} --only {shlex.quote(arm)}"


def origins(summary: Summary) -> Table:
    """Return one line for every arm and seed, and one for every timed arm."""
    lines: list[tuple[str, ...]] = []
    anchors: dict[int, str] = {}
    for place, row in enumerate(summary.rows):
        anchors[len(lines)] = anchor(place)
        again = command(summary, row.arm)
        for run in row.runs:
            digests = (run.detect_digest, run.forward_digest, run.train_digest)
            found = row.accuracies.get(run.seed)
            who = (
                (commit(found.environment), found.environment.device, found.time)
                if found
                else (DASH,) * 3
            )
            lines.append((row.arm, str(run.seed), "AP", *digests, *who, again))
        if row.timing and summary.session:
            s = summary.session
            run = next(run for run in row.runs if run.seed == s.seed)
            digests = (run.detect_digest, run.forward_digest, run.train_digest)
            who = (commit(s.environment), s.device, f"session {s.name}")
            lines.append((row.arm, str(s.seed), "ms", *digests, *who, again))
    return Table(
        title="Where each number comes from",
        columns=(
            "arm",
            "seed",
            "what",
            "run (detection)",
            "forward pass",
            "training",
            "commit",
            "device",
            "measured",
            "again",
        ),
        rows=tuple(lines),
        words=frozenset({0, 2, 3, 4, 5, 6, 7, 8, 9}),
        anchors=anchors,
        notes=(
            "run: the digest that the records in results.jsonl, work/predictions and the "
            "MLflow tag detect_digest carry. again: in a fresh --work-dir, as what is there is "
            "not measured twice; the baseline is measured along.",
        ),
    )
