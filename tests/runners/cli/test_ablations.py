"""The ablations that come with the project: their headers, their arms, and that each one runs."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reports.summary.paper import paper_groups
from runners.cli.main import app
from tests.support.paths import ABLATIONS
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.manifest import load as load_manifest
from yolact_bench.results.record import Accuracy, Latency
from yolact_bench.results.store import Store
from yolact_bench.spec.ablation import load
from yolact_bench.spec.presets import PRESETS
from yolact_bench.yaml_source import read

FOLDER = ABLATIONS
SPECS = sorted(FOLDER.glob("*.yaml"))
QUESTIONS = (
    "aa",
    "anchors",
    "backbone",
    "class_loss",
    "coefficients",
    "crop",
    "dcn_interval",
    "image_size",
    "ladder",
    "nms",
    "prototypes",
    "quickstart",
    "rescore",
    "sbd",
    "semantic_loss",
)


def name_of(spec: Path) -> str:
    return spec.stem


def run_smoke(spec: Path, work: Path) -> None:
    """Run a spec as a user does, and look at all that it leaves."""
    words = ["-q", "run", str(spec), "--budget", "smoke", "--work-dir", str(work)]
    done = CliRunner().invoke(app, [*words, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    ablation = load(spec, budget="smoke")
    manifest = load_manifest(work / "reports" / f"{spec.stem}-smoke")
    assert (manifest.budget, manifest.name) == ("smoke", f"{spec.stem}-smoke")
    store = Store(work / "results.jsonl")
    mine = {run.detect_digest for run in manifest.runs}
    accuracies = [r for r in store.records() if isinstance(r, Accuracy) and r.detect_digest in mine]
    # A row may stand on another's record, such as a CUDA graph on the compiled arm's.
    assert {run.arm for run in manifest.runs} == set(ablation.rows)
    assert {r.detect_digest for r in accuracies} == mine
    assert all(r.proxy and r.num_images == 2 for r in accuracies)
    others = {row.name for row in ablation.external}
    assert all(r.iterations == 2 for r in accuracies if r.arm not in others)
    timed = [r for r in store.records() if isinstance(r, Latency) and r.detect_digest in mine]
    ours = {run.detect_digest for run in manifest.runs if run.arm not in others}
    assert {r.detect_digest for r in timed if not r.reported} == (
        ours if "latency" in ablation.measure else set()
    )
    page = (work / "reports" / manifest.name / "report.md").read_text()
    assert "proxy" in page


def test_every_question_of_the_papers_has_its_spec() -> None:
    assert set(QUESTIONS) <= {spec.stem for spec in SPECS}


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_a_spec_says_its_question_command_cost_expectation_and_source(spec: Path) -> None:
    ablation = load(spec)
    header = "\n".join(read(spec).header)
    assert ablation.name == spec.stem
    assert ablation.question.endswith("?")
    assert f"yolact-bench run ablations/{spec.name}" in header
    assert "Cost: " in header
    assert "Expect: " in header
    assert "Source" in header or spec.stem == "aa"
    assert ablation.paper is None or ablation.paper in paper_groups()


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_arms_stay_apart_under_every_budget(spec: Path) -> None:
    """Were two equal in a smoke run, one of them would not have been tried.

    But a smoke run starts from random weights whatever an arm starts from.
    """
    for budget in ("smoke", "short", "full"):
        arms = load(spec, budget=budget).arms
        if budget == "smoke":  # on a CPU, where a compiled arm stands in for its graph
            arms = tuple(a for a in arms if a.full.runtime["name"] != "cuda_graph")
        runs = [resolve_architecture(a.run, files=False) for a in arms]
        is_one = budget == "smoke" and spec.stem == "transfer"
        assert len({run.detect_digest for run in runs}) == (1 if is_one else len(runs)), budget


def test_nms_is_eight_arms_one_training_and_one_forward_pass(tmp_path: Path) -> None:
    words = ["plan", str(FOLDER / "nms.yaml"), "--budget", "smoke", "--json"]
    done = CliRunner().invoke(app, [*words, "--work-dir", str(tmp_path)])
    facts = json.loads(done.output)
    assert len(facts["units"]) == 8
    assert (facts["trainings"], facts["forward_passes"], facts["evaluations"]) == (1, 1, 8)
    assert facts["budget"] == "smoke"


def test_the_ladder_adds_one_part_a_rung_and_ends_at_the_published_model() -> None:
    arms = load(FOLDER / "ladder.yaml").arms
    changed = [set(arm.changes) for arm in arms]
    assert all(below < above for below, above in itertools.pairwise(changed))
    ends = [resolve_architecture(arms[i].run) for i in (0, -1)]
    assert ends == [
        resolve_architecture(replace(PRESETS[name], dataset={"name": "coco"}))
        for name in ("yolact_r101", "yolact_plus_r101")
    ]


def test_an_ablation_runs_in_seconds_under_the_smoke_budget(tmp_path: Path) -> None:
    run_smoke(FOLDER / "aa.yaml", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_every_ablation_runs_under_the_smoke_budget(spec: Path, tmp_path: Path) -> None:
    run_smoke(spec, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")  # up to 1.5 GB, which pytest would keep
