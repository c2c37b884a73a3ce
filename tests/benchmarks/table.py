"""The Markdown table of a benchmark run, from the JSON that `make bench` leaves.

python -m tests.benchmarks.table work/benchmarks.json
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]  # the `extra_info` that `alternating.compare` leaves of one benchmark

HEADER = ("what", "threads", "plain, ms", "fast, ms", "× [95 %]", "× CPU", "target", "moonshot")


def table_of(results: Mapping[str, Any]) -> str:
    """Return the table of all rows of a run, grouped ones with their mean, and where it ran."""
    rows = [b["extra_info"] for b in results["benchmarks"] if "row" in b["extra_info"]]
    if not rows:
        return "no benchmark here compares arms\n"
    lines = [HEADER, ("---",) + ("---:",) * (len(HEADER) - 1)]
    lines += [line for row in rows for line in _lines(row)]
    lines += list(_group_lines(rows))
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\n{_where(rows)}\n"


def _lines(row: Row) -> Iterator[Sequence[str]]:
    for arm, ratio in row["arms"].items():
        alone = arm == row["reference"]  # a rate without anything to compare with
        in_group = row["group"] is not None
        value = ratio["rate"] if row["rate"] else ratio["value"]
        unit = f" {row['rate']}" if row["rate"] else " ×"
        shown = "" if alone else _interval(ratio["value"], ratio["interval"])
        if row["rate"]:
            shown = f"{ratio['rate']:.4g} {row['rate']}" + (f", {shown}" if shown else "")
        yield (
            row["row"] if len(row["arms"]) == 1 else f"{row['row']}: {arm}",
            str(row["threads"]),
            "–" if alone else f"{row['reference_ms']:.4g}",
            f"{ratio['ms']:.4g}",
            shown,
            "" if alone else f"{ratio['cpu']:.2f}",
            "" if in_group else _against(value, row["target"].get(arm), unit),
            "" if in_group else _against(value, row["moonshot"].get(arm), unit),
        )


def _group_lines(rows: Sequence[Row]) -> Iterator[Sequence[str]]:
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        for arm in row["arms"]:
            if row["group"] is not None:
                groups.setdefault((row["group"], row["threads"], arm), []).append(row)
    for (group, threads, arm), members in groups.items():
        value, interval = _geometric_mean([member["arms"][arm] for member in members])
        cpu = math.exp(sum(math.log(m["arms"][arm]["cpu"]) for m in members) / len(members))
        yield (
            f"{group}: {arm} (geometric mean of {len(members)})",
            str(threads),
            "",
            "",
            _interval(value, interval),
            f"{cpu:.2f}",
            _against(value, members[0]["target"].get(arm), " ×"),
            _against(value, members[0]["moonshot"].get(arm), " ×"),
        )


def _geometric_mean(
    ratios: Sequence[Mapping[str, Any]],
) -> tuple[float, tuple[float, float] | None]:
    """Return the mean and its interval: the members were timed apart, so their errors add up."""
    n = len(ratios)
    value = math.exp(sum(math.log(ratio["value"]) for ratio in ratios) / n)
    if any(ratio["interval"] is None for ratio in ratios):
        return value, None
    below, above = (
        math.sqrt(sum(math.log(r["interval"][side] / r["value"]) ** 2 for r in ratios)) / n
        for side in (0, 1)
    )
    return value, (value * math.exp(-below), value * math.exp(above))


def _interval(value: float, interval: Sequence[float] | None) -> str:
    if interval is None:
        return f"{value:.2f}"
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def _against(value: float, target: float | None, unit: str) -> str:
    if target is None:
        return ""
    return f"{target:g}{unit} {'✓' if value >= target else '✗'}"


def _where(rows: Sequence[Row]) -> str:
    places = []
    for row in rows:
        env = row["environment"]
        commit = env["commit"][:10] + (" with uncommitted changes" if env["dirty"] else "")
        versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items())
        places.append(f"{env['device']}, {env['os']}, {versions}; commit {commit}.")
    loads = [row["load_average"] for row in rows]
    rounds = [len(next(iter(row["samples_ms"].values()))) for row in rows]
    return (
        f"{' '.join(dict.fromkeys(places))} Medians of {min(rounds)} to {max(rounds)} alternating "
        "rounds, wall clock; × is plain / fast, paired within rounds, with its interval by block "
        f"bootstrap; × CPU is that of process CPU times. Load average {min(loads)} to {max(loads)}."
    )


if __name__ == "__main__":
    sys.stdout.write(table_of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
