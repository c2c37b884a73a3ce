"""The spec's `latency` key: read with defaults, and every mistake has its line."""

from pathlib import Path

import pytest

from tests.support.small_ablation import SPEC
from yolact_bench.errors import SpecError
from yolact_bench.spec.ablation import load
from yolact_bench.spec.latency import LatencyPlan


def plan(folder: Path, text: str) -> LatencyPlan:
    path = folder / "spec.yaml"
    path.write_text(SPEC + f"latency: {text}\n")
    return load(path).latency


def test_without_the_key_one_scenario_is_timed_to_one_percent(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    found = load(tmp_path / "spec.yaml").latency
    assert found == LatencyPlan()
    assert (found.scenarios, found.rel_ci, found.max_s) == (("end_to_end",), 0.01, 300.0)
    assert (found.batch_size, found.load, found.budget_ms) == (1, "own", None)


def test_every_word_is_read(tmp_path: Path) -> None:
    text = (
        "{scenarios: [model, detector], rel_ci: 0.02, max_s: 60, batch_size: 8, load: constant_50, "
        "budget_ms: 33.3, twin: true}"
    )
    assert plan(tmp_path, text) == LatencyPlan(
        scenarios=("model", "detector"),
        rel_ci=0.02,
        max_s=60.0,
        batch_size=8,
        load="constant_50",
        budget_ms=33.3,
        twin=True,
    )
    assert plan(tmp_path, "{scenarios: model}").scenarios == ("model",)


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("{scenarios: [modle]}", "scenarios", "did you mean 'model'"),
        ("{scenarios: []}", "scenarios", "expected different ones"),
        ("{scenarios: [model, model]}", "scenarios", "expected different ones"),
        ("{scenarios: 3}", "scenarios", "expected a list of texts, got 3"),
        ("{rel_ci: 1}", "rel_ci", "expected a number from 1e-09 to 0.999, got 1"),
        ("{rel_ci: small}", "rel_ci", "expected a number from 1e-09 to 0.999, got 'small'"),
        ("{max_s: 0}", "max_s", "expected a number from 1e-09 to 1,000,000, got 0"),
        ("{batch_size: true}", "batch_size", "expected a whole number from 1 to 65,536, got True"),
        ("{batch_size: 0}", "batch_size", "expected a whole number from 1 to 65,536, got 0"),
        ("{load: crowded}", "load", "did you mean 'crowded_100'"),
        ("{load: 3}", "load", "expected a text, got 3"),
        (
            "{budget_ms: -1}",
            "budget_ms",
            "expected a number from 1e-09 to 1,000,000 or null, got -1",
        ),
        ("{twin: 1}", "twin", "expected true or false"),
        ("{rounds: 3}", "rounds", "unknown key"),
        ("5", "latency", "expected a mapping"),
    ],
)
def test_a_mistake_names_file_line_and_key(
    tmp_path: Path, text: str, key: str, message: str
) -> None:
    line = SPEC.count("\n") + 1
    with pytest.raises(SpecError, match=message) as caught:
        plan(tmp_path, text)
    assert f"spec.yaml:{line}: latency" in str(caught.value)
    assert key in str(caught.value)
