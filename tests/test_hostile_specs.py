"""Whatever is changed in a real spec, it can be resolved, or is refused in words."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runners.arms.external.reported_latency import read_reported_latency
from runners.planning.arm_checks import check_arms
from runners.planning.user_rates import parse_rates
from runners.sweep.samplers import pruner_of
from tests.support.hostile_values import changed_texts
from tests.support.paths import ROOT
from yolact_bench.dataset_spec.file import read_dataset_file
from yolact_bench.errors import SpecError
from yolact_bench.escape import printable
from yolact_bench.resolve import resolve_run
from yolact_bench.spec.ablation import load
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run
from yolact_bench.spec.sweep.space import all_params, corners
from yolact_bench.spec.sweep.sweep import load_sweep

SECONDS = 20.0  # that one spec may take on a machine that does much else


def resolve(run: Run) -> None:
    resolve_run(run, data_root=None, data=False)


def read_ablation(path: Path) -> None:
    for budget in ("full", "short", "smoke"):
        ablation = load(path, budget=budget)
        for arm in ablation.arms[:20]:
            resolve(arm.run)
    check_arms(ablation)


def read_sweep(path: Path) -> None:
    spec = load_sweep(path)
    resolve(spec.run)
    all_params(spec.space)
    pruner_of(spec)
    for _, changes in list(corners(spec.space))[:50]:
        resolve(spec.changed(changes))
    _ = spec.trial_timing


def read_latency_file(path: Path) -> None:
    """Read a latency.json of these values; what is no JSON has tests of its own."""
    try:
        data = yaml.safe_load(path.read_text())
        path.write_text(json.dumps(data))
    except (yaml.YAMLError, TypeError, ValueError, LookupError, AttributeError, OSError) as error:
        raise SpecError("no JSON") from error
    read_reported_latency(path)


FILES = {"images": "i", "annotations": "a.json"}
DATASET = {"name": "n", "root": ".", "train": FILES, "val": FILES, "classes": ["a", "b"]}
LATENCY = {
    **{"schema": 1, "device": "T4", "precision": "fp32", "scenario": "x", "median_ms": 3},
    "software": {"torch": "2.11"},
}
SPECS: Mapping[str, tuple[object, Callable[[Path], object]]] = {
    **{
        f"{folder}/{file.stem}": (yaml.safe_load(file.read_text()), read)
        for folder, read in (("ablations", read_ablation), ("sweeps", read_sweep))
        for file in sorted((ROOT / folder).glob("*.yaml"))
    },
    "dataset": (DATASET, read_dataset_file),
    "run": (
        preset("yolact_plus_r50").as_dict(),
        lambda path: resolve(read_run(path.name, relative_to=path.parent)),
    ),
    "latency": (LATENCY, read_latency_file),
    "rates": (
        {"every": 1.0, "presets": {"yolact_r50": 2.0}},
        lambda path: parse_rates([], file=path),
    ),
}


def check_one(kind: str, text: str) -> None:
    """Read a text as a spec of a kind: nothing but a SpecError may come of it, and in time."""
    begin = time.monotonic()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_bytes(text.encode(errors="surrogatepass"))
        try:
            SPECS[kind][1](path)
        except SpecError as error:
            assert all(len(line) < 3000 for line in str(error).splitlines())
            assert printable(str(error)) == str(error)
        assert [file.name for file in Path(folder).iterdir()] == ["spec.yaml"]
    assert time.monotonic() - begin < SECONDS


CASES = st.sampled_from(sorted(SPECS)).flatmap(
    lambda kind: st.tuples(st.just(kind), changed_texts(SPECS[kind][0]))
)


def with_examples(number: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=checks,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", SPECS)
def test_a_spec_is_read_as_it_stands(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SPECS[kind][0]))
    SPECS[kind][1](path)


@with_examples(8)
@given(CASES)
def test_a_changed_spec_is_resolved_or_refused(case: tuple[str, str]) -> None:
    check_one(*case)


@pytest.mark.slow
@with_examples(3000)
@given(CASES)
def test_many_changed_specs_are_resolved_or_refused(case: tuple[str, str]) -> None:
    check_one(*case)
