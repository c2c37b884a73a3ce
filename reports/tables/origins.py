"""Where a number comes from: digests, commit, device, and the command that measures it again."""

import shlex
from collections.abc import Iterator

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.tables.cells import MISSING
from reports.tables.table import Table
from yolact_bench.results.record import Accuracy, Environment

_COLUMNS = (
    "arm",
    "seed",
    "what",
    "run",
    "forward pass",
    "training",
    "commit",
    "device",
    "measured",
    "again",
)


def anchor(place: int) -> str:
    """Return the name by which other tables point at the first line of the arm in that place."""
    return f"from-{place}"


def origin(accuracy: Accuracy, seed: int) -> str:
    """Return the origin of one accuracy in one line."""
    return (
        f"seed {seed}: run {accuracy.detect_digest}, commit {commit(accuracy.environment)}, "
        f"{accuracy.environment.device}, {accuracy.time}{_how(accuracy)}"
    )


def _how(accuracy: Accuracy) -> str:
    """How an evaluation differs from the default settings; "" if it does not."""
    scored = "" if accuracy.scoring == "pycocotools" else f", scored by {accuracy.scoring}"
    return scored + (f", in batches of {accuracy.eval_batch}" if accuracy.eval_batch != 1 else "")


def commit(environment: Environment) -> str:
    """Return the commit, shortened, and whether the source had changes beyond it."""
    return f"{environment.commit[:12]}{' + changes' if environment.dirty else ''}"


def command(summary: Summary, arm: str) -> str:
    """Return the command that measures one arm, and the baseline, again."""
    return f"{summary.manifest.command} --only {shlex.quote(arm)}"


def origins(summary: Summary) -> Table:
    """Return a line for everything that was measured: arm by arm, seed by seed."""
    lines: list[tuple[str, ...]] = []
    anchors: dict[int, str] = {}
    for place, row in enumerate(summary.rows):
        anchors[len(lines)] = anchor(place)
        lines += _lines(summary, row)
    return Table(
        title="Where each number comes from",
        columns=_COLUMNS,
        rows=tuple(lines),
        words=frozenset(range(len(_COLUMNS))) - {_COLUMNS.index("seed")},
        anchors=anchors,
        notes=(
            "run: detect digest, as in results.jsonl, predictions/ and MLflow. again: run this in "
            "an empty --work-dir.",
        ),
    )


def _lines(summary: Summary, row: ArmRow) -> Iterator[tuple[str, ...]]:
    again = command(summary, row.arm)
    for run in row.runs:
        digests = (run.detect_digest, run.forward_digest, run.train_digest)
        accuracy, analysis = row.accuracies.get(run.seed), summary.errors.get(run.detect_digest)
        source = _source(accuracy.environment, accuracy.time) if accuracy else (MISSING,) * 3
        what = f"AP{_how(accuracy)}" if accuracy else "AP"
        yield (row.arm, str(run.seed), what, *digests, *source, again)
        if analysis:
            source = _source(analysis.environment, analysis.time)
            yield (row.arm, str(run.seed), "errors", *digests, *source, again)
        session = summary.session
        if row.timing and session and session.seed == run.seed:
            source = _source(session.environment, f"session {session.name}")
            yield (row.arm, str(run.seed), "ms", *digests, *source, again)


def _source(environment: Environment, when: str) -> tuple[str, str, str]:
    return commit(environment), environment.device, when
