"""Where a number comes from: digests, commit, device, and the command that measures it again."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from reports.summary.aggregate import Summary
from reports.summary.arm_rows import ArmRow
from reports.tables.cells import MISSING
from reports.tables.table import Table, number, tabulate, text
from yolact_bench.evaluation import evaluation_text
from yolact_bench.results.manifest import PlannedRun
from yolact_bench.results.record import Accuracy, Environment


class _Line(NamedTuple):
    """One thing that was measured, or was to be."""

    run: PlannedRun
    what: str
    environment: Environment | None
    when: str


def anchor(place: int) -> str:
    """Return the name by which other tables point at the first line of the arm in that place."""
    return f"from-{place}"


def origin(accuracy: Accuracy, seed: int) -> str:
    """Return the origin of one accuracy in one line."""
    return (
        f"seed {seed}: run {accuracy.detect_digest}, commit {commit(accuracy.environment)}, "
        f"{accuracy.environment.device}, {accuracy.time}{_how(accuracy)}"
    )


def sources(row: ArmRow) -> str:
    """Return the origins of all accuracies of an arm, for the tip of a cell."""
    return "; ".join(origin(accuracy, seed) for seed, accuracy in row.accuracies.items())


def _how(accuracy: Accuracy) -> str:
    """How an evaluation differs from the default settings; "" if it does not."""
    scored = "" if accuracy.scoring == "pycocotools" else f", scored by {accuracy.scoring}"
    options = f", with {evaluation_text(accuracy.evaluation)}" if accuracy.evaluation else ""
    batches = f", in batches of {accuracy.eval_batch}" if accuracy.eval_batch != 1 else ""
    return scored + options + batches


def commit(environment: Environment) -> str:
    """Return the commit, shortened, and whether the source had changes beyond it."""
    return f"{environment.commit[:12]}{' + changes' if environment.dirty else ''}"


def command(summary: Summary, arm: str) -> str:
    """Return the command that measures one arm, and the baseline, again."""
    others = re.sub(r" --only ('[^']*'|\S+)", "", summary.manifest.command)
    return f"{others} --only {shlex.quote(arm)}"


def origins(summary: Summary) -> Table:
    """Return a line for everything that was measured: arm by arm, seed by seed."""
    lines: list[_Line] = []
    anchors: dict[int, str] = {}
    for place, row in enumerate(summary.rows):
        anchors[len(lines)] = anchor(place)
        lines += _lines(summary, row)
    table = tabulate(
        "Where each number comes from",
        (
            text("arm", lambda line: line.run.arm),
            number("seed", lambda line: str(line.run.seed)),
            text("what", lambda line: line.what),
            text("run", lambda line: line.run.detect_digest),
            text("forward pass", lambda line: line.run.forward_digest),
            text("training", lambda line: line.run.train_digest),
            text("commit", lambda line: commit(line.environment) if line.environment else MISSING),
            text("device", lambda line: line.environment.device if line.environment else MISSING),
            text("measured", lambda line: line.when),
            text("again", lambda line: command(summary, line.run.arm)),
        ),
        lines,
        notes=(
            "run: detect digest, as in results.jsonl, predictions/ and MLflow. again: run this in "
            "an empty --work-dir.",
        ),
    )
    return replace(table, anchors=anchors)


def _lines(summary: Summary, row: ArmRow) -> Iterator[_Line]:
    session = summary.session
    for run in row.runs:
        if accuracy := row.accuracies.get(run.seed):
            yield _Line(run, f"AP{_how(accuracy)}", accuracy.environment, accuracy.time)
        else:
            yield _Line(run, "AP", None, MISSING)
        if analysis := summary.errors.get(run.detect_digest):
            yield _Line(run, "errors", analysis.environment, analysis.time)
        if row.timing and session and session.seed == run.seed:
            yield _Line(run, "ms", session.environment, f"session {session.name}")
