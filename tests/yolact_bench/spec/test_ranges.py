"""Numbers of settings and specs are in a range, and refused by file, line, key and range."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from runners.planning.user_rates import parse_rates
from tests.support.value_types import gaps, outside
from yolact_bench import ranges
from yolact_bench.errors import SpecError
from yolact_bench.ranges import LARGEST_SEED
from yolact_bench.spec.ablation import load
from yolact_bench.spec.latency import LatencyPlan
from yolact_bench.spec.run import FILLED_IN, Run
from yolact_bench.spec.sweep.sweep import load_sweep

BASE = {"schema": 1, "base": "yolact_tiny"}
ABLATION = {**BASE, "baseline": "a", "changes": ["nms"], "arms": {"a": {}, "b": {"nms": "soft"}}}
SWEEP = {**BASE, "space": {"protonet.k": {"low": 4, "high": 8, "step": 2}}}
COMMAND = {"command": "x {out}", "version": "1", "timeout_minutes": 1}
Case = tuple[Mapping[str, object], Callable[[Path], object], tuple[str, ...], object]
# A file, its reader, a key in it, and the type of its value.
CASES: tuple[Case, ...] = (
    ({**ABLATION, "set": {"image_size": 160}}, load, ("set", "image_size"), ranges.ImageSize),
    ({**ABLATION, "set": {"seed": 0}}, load, ("set", "seed"), ranges.Seed),
    ({**ABLATION, "seeds": [0]}, load, ("seeds",), ranges.Seeds),
    ({**ABLATION, "latency": {"rel_ci": 0.1}}, load, ("latency", "rel_ci"), ranges.Share),
    ({**ABLATION, "latency": {"max_s": 1}}, load, ("latency", "max_s"), ranges.Positive),
    ({**ABLATION, "latency": {"batch_size": 1}}, load, ("latency", "batch_size"), ranges.BatchSize),
    ({**ABLATION, "latency": {"budget_ms": 1}}, load, ("latency", "budget_ms"), ranges.Positive),
    (
        {**ABLATION, "external": {"c": COMMAND}},
        load,
        ("external", "c", "timeout_minutes"),
        ranges.Positive,
    ),
    ({**SWEEP, "trials": 1}, load_sweep, ("trials",), ranges.Trials),
    ({**SWEEP, "validate_every": 1}, load_sweep, ("validate_every",), ranges.CountOrZero),
    ({**SWEEP, "sampler": {"seed": 0}}, load_sweep, ("sampler", "seed"), ranges.SamplerSeed),
    (
        {**SWEEP, "pruner": {"n_startup_trials": 1}},
        load_sweep,
        ("pruner", "n_startup_trials"),
        ranges.PrunerOption,
    ),
    (SWEEP, load_sweep, ("space", "protonet.k", "low"), ranges.Anywhere),
    (SWEEP, load_sweep, ("space", "protonet.k", "high"), ranges.Anywhere),
    (SWEEP, load_sweep, ("space", "protonet.k", "step"), ranges.Positive),
    ({"every": 1.0}, lambda path: parse_rates([], file=path), ("every",), ranges.Positive),
)


@pytest.mark.parametrize(
    ("spec", "read", "path", "expected"), CASES, ids=[".".join(path) for _, _, path, _ in CASES]
)
def test_a_number_outside_is_refused_by_file_line_key_and_range(
    spec: dict[str, object],
    read: Callable[[Path], object],
    path: tuple[str, ...],
    expected: object,
    tmp_path: Path,
) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec))
    read(file)
    for value in outside(expected):
        changed = yaml.safe_load(yaml.safe_dump(spec))
        inner = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        file.write_text(yaml.safe_dump(changed))
        with pytest.raises(SpecError) as error:
            read(file)
        place = rf"{re.escape(str(file))}:\d+: {re.escape('.'.join(path))}: "
        text = str(error.value)
        assert re.match(rf"{place}expected a .*(from .* to |list of ).*, got ", text), text
        assert len(text) < 400


@pytest.mark.parametrize("kind", [Run, LatencyPlan])
def test_every_number_of_a_run_and_of_a_plan_has_two_ends(kind: type) -> None:
    types = get_type_hints(kind, include_extras=True)
    names = [field.name for field in fields(kind) if field.name not in FILLED_IN]
    missing = [fault for name in names for fault in gaps(types[name], name)]
    assert [fault for fault in missing if "a number" in fault] == []


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e30])
def test_a_rate_of_the_command_line_is_in_the_range(value: float) -> None:
    for words, evaluation in (([str(value)], None), ([f"yolact_r50={value}"], None), ([], value)):
        with pytest.raises(SpecError, match=r"^--\S+( \S+)?: expected a number from 1e-09"):
            parse_rates(words, evaluation=evaluation)


def test_arms_times_seeds_are_bounded(tmp_path: Path) -> None:
    """2 · 50 arms with 1,000 seeds are 100,000, and 2 · 51 are more."""
    file = tmp_path / "spec.yaml"
    grid = {"nms.top_k": [1, 2], "protonet.k": [*range(1, 51)]}
    spec = {**BASE, "baseline": "top_k_1.k_1", "changes": [*grid], "grid": grid}
    file.write_text(yaml.safe_dump(spec))
    assert len(load(file, seeds=1000).arms) * 1000 == 100_000
    grid["protonet.k"].append(51)
    file.write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError, match=r"seeds: 102 arms with 1,000 seeds, at most 100,000 in"):
        load(file, seeds=1000)


def test_seeds_are_added_to_those_of_arms_within_the_range(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    spec = {**ABLATION, "seeds": [0, 5], "set": {"seed": LARGEST_SEED - 5}}
    file.write_text(yaml.safe_dump(spec))
    assert load(file).seeds == (0, 5)
    file.write_text(yaml.safe_dump({**spec, "seeds": [0, 6]}))
    with pytest.raises(SpecError, match=r":\d+: seeds: with the seed 4,294,967,290 of a, to which"):
        load(file)
    with pytest.raises(SpecError, match=r": seeds: with the seed 4,294,967,290 of a, to which"):
        load(file, seeds=7)
