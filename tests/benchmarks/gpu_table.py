"""The tables of a GPU session, from its record."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.benchmarks.gpu_size import TWIN

# Aims on an H200: milliseconds to masks at prototype size with batch 1 in one graph, and the least
# ratio to eager fp32; times as fast as torchvision; images a second of training.
_AIM_MS = {"yolact_r50": 1.3, "yolact_plus_r50": 1.7}
_AIM_RATIO, _AIM_DEFORM = 4.0, 5.0
_AIM_TRAINING = {"yolact_r50": 600.0, "yolact_plus_r50": 450.0}


def table_of(record: Mapping[str, Any]) -> str:
    """Return Markdown: networks, their stages, deformable layers, training, and where it ran."""
    parts = list(record["parts"].values())
    networks = [part for part in parts if part["kind"] == "network"]
    deform = [part for part in parts if part["kind"] == "deform"]
    training = [part for part in parts if part["kind"] == "training"]
    blocks = [f"### {record['environment']['device']}"]
    if networks:
        blocks += [_networks(networks), _stages(networks)]
    blocks += [_deform(part) for part in deform]
    if training:
        blocks.append(_training(training))
    return "\n\n".join([*blocks, _where(record)]) + "\n"


def _networks(parts: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for part in parts:
        for arm, told in part["arms"].items():
            aims = [told["times_as_fast"] >= _AIM_RATIO] if "graph" in arm else []
            if "graph" in arm and part["batch"] == 1 and part["preset"] in _AIM_MS:
                aims.append(told["median_ms"] <= _AIM_MS[part["preset"]])
            rows.append(
                (
                    part["preset"],
                    str(part["batch"]),
                    arm,
                    _number(told["median_ms"], told["interval_ms"], 3),
                    _number(told.get("times_as_fast"), told.get("times_as_fast_interval"), 2),
                    f"{told['images_per_second']:.0f}",
                    "" if not aims else "✓" if all(aims) else "✗",
                )
            )
        rows += [
            (part["preset"], str(part["batch"]), arm, "failed", "", "", _short(reason))
            for arm, reason in part["failed"].items()
        ]
        twin = part["twin"]
        verdict = part["invalid"] or "✓"
        rows.append(
            (
                part["preset"],
                str(part["batch"]),
                "A/A: eager fp32 again",
                "",
                _number(twin.get("ratio"), twin.get("interval"), 4),
                "",
                verdict if twin else "",
            )
        )
    head = ("network", "batch", "arm", "ms [95 %]", "× eager fp32 [95 %]", "images/s", "aim")
    return _table(head, rows)


def _stages(parts: Sequence[Mapping[str, Any]]) -> str:
    names = list(
        dict.fromkeys(
            stage for part in parts for told in part["arms"].values() for stage in told["stages_ms"]
        )
    )
    rows = [
        (
            part["preset"],
            str(part["batch"]),
            arm,
            *(f"{told['stages_ms'][s]:.3f}" if s in told["stages_ms"] else "–" for s in names),
        )
        for part in parts
        for arm, told in part["arms"].items()
    ]
    return _table(("stages, ms", "batch", "arm", *names), rows)


def _deform(part: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{row['layer']} {row['side']}²×{row['channels']}",
            str(row["batch"]),
            row["pass"],
            arm,
            f"{1000 * told['median_ms'] / part['calls']:.1f}",
            _number(told["times_as_fast"], told["times_as_fast_interval"], 2),
            _aim(told["times_as_fast"], _AIM_DEFORM) if _is_fast(arm, row) else _again(arm, told),
        )
        for row in part["rows"]
        for arm, told in row["arms"].items()
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
        for arm, told in part["arms"].items():
            aim = _AIM_TRAINING.get(part["preset"])
            judged = aim is not None and told["images_per_second"] == fastest
            rows.append(
                (
                    part["preset"],
                    str(part["batch"]),
                    arm,
                    f"{told['images_per_second']:.0f}",
                    _number(told["times_as_fast"], told["times_as_fast_interval"], 3),
                    _aim(told["images_per_second"], aim)
                    if judged and aim and arm != TWIN
                    else _again(arm, told),
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
        "Networks: decoded 480×640 images to masks at prototype size on the device, 100 detections "
        "declared in each, random weights; alternating rounds, 95 % block bootstrap. "
        f"`{TWIN}` is the first arm timed twice.{small}{skipped}"
    )


def _aim(value: float, aim: float) -> str:
    return f"{aim:g} {'✓' if value >= aim else '✗'}"


def _again(arm: str, told: Mapping[str, Any]) -> str:
    """Whether an arm that was timed twice is as fast as itself."""
    if arm != TWIN or not told["times_as_fast_interval"]:
        return ""
    low, high = told["times_as_fast_interval"]
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
