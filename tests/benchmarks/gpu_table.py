"""The tables of a GPU session, from its record."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.benchmarks.gpu_size import TWIN

# Aims on an H100: milliseconds to masks at prototype size with batch 1 in one graph, and the least
# ratio to eager fp32; times as fast as torchvision; images a second of training.
_AIM_MS = {"yolact_r50": 1.3, "yolact_plus_r50": 1.7}
_AIM_RATIO, _AIM_DEFORM = 4.0, 5.0
_AIM_TRAINING = {"yolact_r50": 450.0, "yolact_plus_r50": 360.0}


def table_of(record: Mapping[str, Any]) -> str:
    """Return Markdown: networks, their stages, layers, training, micro numbers, where it ran."""

    def of_kind(kind: str) -> list[Mapping[str, Any]]:
        return [part for part in record["parts"].values() if part["kind"] == kind]

    blocks = [f"### {record['environment']['device']}"]
    blocks += [part["result"] for part in of_kind("gate")]
    for tables, kind in (
        ((_networks, _stages), "network"),
        ((_traces,), "trace"),
        ((_deform,), "deform"),
        ((_training,), "training"),
        ((_loaders,), "loader"),
        ((_micro,), "micro"),
    ):
        parts = of_kind(kind)
        blocks += [table(parts) for table in tables if parts]
    return "\n\n".join([*blocks, _where(record)]) + "\n"


def _micro(parts: Sequence[Mapping[str, Any]]) -> str:
    (part,) = parts
    rows = [
        (
            name,
            arm,
            f"{1000 * facts['median_ms']:.1f}",
            _number(facts["times_as_fast"], facts["times_as_fast_interval"], 2),
        )
        for name, arms in part["rows"].items()
        for arm, facts in arms.items()
    ]
    rows += [(name, "failed", "", _short(why)) for name, why in part["failed"].items()]
    ceilings = (
        f"Ceilings in bf16: {part['gflops'] / 1000:.3g} TFLOP/s, "
        f"{part['gigabytes_per_second']:.0f} GB/s."
    )
    head = ("operation", "arm", "µs a call", "× first [95 %]")
    return f"{_table(head, rows)}\n\n{ceilings}"


def _traces(parts: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            part["preset"],
            part["arm"],
            f"{part['events']:.0f}",
            f"{part['busy_us']:.0f}",
            f"{part['wall_us']:.0f}",
        )
        for part in parts
    ]
    return _table(("one detection", "arm", "kernels", "busy, µs", "first to last, µs"), rows)


def _loaders(parts: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            part["preset"],
            str(part["batch"]),
            str(part["workers"]),
            f"{part['images_per_second']:.0f}",
            f"{100 * part['share_of_waiting']:.1f} %",
            f"{part['first_step_seconds']:.1f}",
        )
        for part in parts
    ]
    head = ("training with its loader", "batch", "workers", "images/s", "waiting", "first step, s")
    return _table(head, rows)


def _networks(parts: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for part in parts:
        for arm, facts in part["arms"].items():
            aims = [facts["times_as_fast"] >= _AIM_RATIO] if "graph" in arm else []
            aimed = part["batch"] == 1 and part["scenario"] == "detector"
            if "graph" in arm and aimed and part["preset"] in _AIM_MS:
                aims.append(facts["median_ms"] <= _AIM_MS[part["preset"]])
            rows.append(
                (
                    *_which(part),
                    arm,
                    _number(facts["median_ms"], facts["interval_ms"], 3),
                    _number(facts.get("times_as_fast"), facts.get("times_as_fast_interval"), 2),
                    f"{facts['images_per_second']:.0f}",
                    "" if not aims else "✓" if all(aims) else "✗",
                )
            )
        rows += [
            (*_which(part), arm, "failed", "", "", _short(reason))
            for arm, reason in part["failed"].items()
        ]
        twin = part["twin"]
        verdict = part["invalid"] or "✓"
        rows.append(
            (
                *_which(part),
                "A/A: eager fp32 again",
                "",
                _number(twin.get("ratio"), twin.get("interval"), 4),
                "",
                verdict if twin else "",
            )
        )
    ratio = "× eager fp32 [95 %]"
    head = ("network", "scenario", "batch", "arm", "ms [95 %]", ratio, "images/s", "aim")
    return _table(head, rows)


def _which(part: Mapping[str, Any]) -> tuple[str, str, str]:
    return part["preset"], part["scenario"], str(part["batch"])


def _stages(parts: Sequence[Mapping[str, Any]]) -> str:
    names = list(
        dict.fromkeys(
            stage
            for part in parts
            for facts in part["arms"].values()
            for stage in facts["stages_ms"]
        )
    )
    rows = [
        (
            *_which(part),
            arm,
            *(f"{facts['stages_ms'][s]:.3f}" if s in facts["stages_ms"] else "–" for s in names),
        )
        for part in parts
        for arm, facts in part["arms"].items()
    ]
    return _table(("stages, ms", "scenario", "batch", "arm", *names), rows)


def _deform(parts: Sequence[Mapping[str, Any]]) -> str:
    (part,) = parts
    rows = [
        (
            f"{row['layer']} {row['side']}²×{row['channels']}",
            str(row["batch"]),
            row["pass"],
            arm,
            f"{1000 * facts['median_ms'] / part['calls']:.1f}",
            _number(facts["times_as_fast"], facts["times_as_fast_interval"], 2),
            _aim(facts["times_as_fast"], _AIM_DEFORM) if _is_fast(arm, row) else _again(arm, facts),
        )
        for row in part["rows"]
        for arm, facts in row["arms"].items()
    ]
    rows += [(name, "", "", "failed", "", "", _short(why)) for name, why in part["failed"].items()]
    head = ("deformable layer", "batch", "pass", "arm", "µs", "× torchvision [95 %]", "aim")
    return _table(head, rows)


def _is_fast(arm: str, row: Mapping[str, Any]) -> bool:
    return arm not in {next(iter(row["arms"])), TWIN} and row["pass"] == "forward"


def _training(parts: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for part in parts:
        fastest = max(t["images_per_second"] for arm, t in part["arms"].items() if arm != TWIN)
        for arm, facts in part["arms"].items():
            aim = _AIM_TRAINING.get(part["preset"])
            judged = aim is not None and facts["images_per_second"] == fastest
            rows.append(
                (
                    part["preset"],
                    str(part["batch"]),
                    arm,
                    f"{facts['images_per_second']:.0f}",
                    _number(facts["times_as_fast"], facts["times_as_fast_interval"], 3),
                    _aim(facts["images_per_second"], aim)
                    if judged and aim and arm != TWIN
                    else _again(arm, facts),
                )
            )
    return _table(("training", "batch", "arm", "images/s", "× first [95 %]", "aim"), rows)


def _where(record: Mapping[str, Any]) -> str:
    env = record["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items())
    commit = env["commit"][:10] + (" with uncommitted changes" if env["dirty"] else "")
    small = "" if record["size"] == "full" else " Small networks, to see that all of it runs."
    skipped = "".join(
        f" Left out: {name} ({reason.splitlines()[0]})."
        for name, reason in record["skipped"].items()
    )
    return (
        f"{env['device']}, driver {env['driver'] or '–'}, {env['os']}, {versions}; commit "
        f"{commit}. "
        "Scenario `detector`: decoded 480×640 images to masks at prototype size on the device; "
        "`end_to_end`: file to run lengths. 100 detections declared in each image, random weights; "
        "alternating rounds, 95 % block bootstrap. "
        f"`{TWIN}` is the first arm timed twice.{small}{skipped}"
    )


def _aim(value: float, aim: float) -> str:
    return f"{aim:g} {'✓' if value >= aim else '✗'}"


def _again(arm: str, facts: Mapping[str, Any]) -> str:
    """Whether an arm that was timed twice is as fast as itself."""
    if arm != TWIN or not facts["times_as_fast_interval"]:
        return ""
    low, high = facts["times_as_fast_interval"]
    return "✓" if low <= 1 <= high else "does not count: A/A differs"


def _short(reason: str) -> str:
    return " ".join(reason.split())[:80]


def _number(value: float | None, interval: Sequence[float] | None, digits: int) -> str:
    if value is None:
        return "–"
    if not interval:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(_lines([head, ["---"] * len(head), *rows]))


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
