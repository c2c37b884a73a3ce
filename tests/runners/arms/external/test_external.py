"""Rows that other frameworks fill, by result files and by commands."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reports.summary.sessions import session_rows
from runners.arms.external.predict import predict_external
from runners.planning.plan import make_plan
from runners.workdir.dataset_files import write_shapes
from runners.workdir.list_runs import run_facts
from tests.support import fake_work
from tests.support.external_truth import DATA, drawn, true_masks
from tests.support.small_ablation import context, plan_spec, run_spec
from yolact_bench.data import Dataset
from yolact_bench.errors import MissingDataError, SpecError
from yolact_bench.results.record import Accuracy, Errors, Failure, Latency, TimingProtocol
from yolact_bench.results.resamples import read_resamples
from yolact_bench.results.sessions import read_sessions
from yolact_bench.results.store import Store
from yolact_bench.spec.ablation import load
from yolact_bench.spec.external import Command
from yolact_bench.spec.latency import PROTOCOL_VERSION, SCENARIOS


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return drawn()


SPEC = """\
# Does another framework fit into the table?
schema: 1
name: others
base: yolact_tiny
set:
  image_size: 72
  precision: fp32
  batch_norm: train
  schedule: {name: steps, iterations: 2, batch_size: 2, lr: 0.001, warmup: 1, steps: []}
dataset: {name: shapes, train_images: 4, val_images: 2, size: 96}
baseline: ours
changes: []
measure: [accuracy]
arms:
  ours: {}
external:
"""
SPEC_DATA = "dataset: {name: shapes, train_images: 4, val_images: 2, size: 96}"
# It answers with the ground truth, so its AP is 1; it notes every call beside itself.
PREDICTOR = """\
import json, pathlib, sys
images, annotations, out = map(pathlib.Path, sys.argv[1:])
truth = json.loads(annotations.read_text())
assert all((images / image["file_name"]).is_file() for image in truth["images"])
masks, boxes = [], []
for one in truth["annotations"]:
    what = {"image_id": one["image_id"], "category_id": one["category_id"], "score": 0.9}
    masks.append({**what, "segmentation": one["segmentation"]})
    boxes.append({**what, "bbox": one["bbox"]})
(out / "segm.json").write_text(json.dumps(masks))
(out / "bbox.json").write_text(json.dumps(boxes))
(out / "latency.json").write_text(json.dumps({
    "schema": 2, "device": "Example GPU", "precision": "fp16", "scenario": "end_to_end",
    "samples_ms": [4.0, 5.0, 9.0]}))
with open(pathlib.Path(__file__).with_suffix(".calls"), "a") as calls:
    calls.write("called\\n")
"""
PERFECT = """\
  perfect:
    command: "{python} predictor.py {images} {annotations} {out}"
    version: "1"
"""
BROKEN = """\
  broken:
    command: '{python} -c "import sys; sys.exit(chr(110) + chr(111) + str(6 * 7))" {out}'
    version: "1"
"""


def write_spec(folder: Path, external: str) -> Path:
    path = folder / "others.yaml"
    path.write_text(SPEC + external)
    (folder / "predictor.py").write_text(PREDICTOR)
    return path


def test_rows_of_commands_and_files_stand_beside_ours(tmp_path: Path, dataset: Dataset) -> None:
    """The ground truth as a result has AP 1; boxes around true masks are the true boxes, too."""
    (tmp_path / "masks.json").write_text(json.dumps(true_masks(dataset)))
    spec = write_spec(tmp_path, PERFECT + BROKEN + "  given: {segm: masks.json}\n")
    spec.write_text(spec.read_text().replace("[accuracy]", "[accuracy, errors]"))
    at = context(tmp_path / "work")

    manifest = run_spec(spec, at)

    records = at.store.records()
    accuracies = {r.arm: r for r in records if isinstance(r, Accuracy)}
    assert accuracies.keys() == {"ours", "perfect", "given"}
    for arm in ("perfect", "given"):
        assert accuracies[arm].mask.ap == pytest.approx(1.0)
        assert accuracies[arm].box.ap == pytest.approx(1.0)
        assert accuracies[arm].eval_data == accuracies["ours"].eval_data
        file = tmp_path / f"work/resamples/{accuracies[arm].detect_digest}.npz"
        columns, _ = read_resamples(file)
        assert columns["mask_ap"] == pytest.approx(1.0)
    assert accuracies["perfect"].origin == "command: 1"
    assert accuracies["given"].origin == "files; boxes are those around the masks"

    split = {r.arm: r for r in records if isinstance(r, Errors)}
    assert split.keys() == {"ours", "perfect", "given"}
    assert split["perfect"].mask["ap50"] == pytest.approx(1.0)
    assert split["perfect"].oracles == {}

    (failure,) = (r for r in records if isinstance(r, Failure))
    assert (failure.arm, failure.kind) == ("broken", "command_failed")
    assert failure.message.endswith("ended with exit code 1: no42")

    (latency,) = (r for r in records if isinstance(r, Latency))
    assert latency.median_ms == 5.0
    assert latency.environment.device == "Example GPU"
    assert latency.interleaved_with == ("perfect",)
    assert latency.protocol.version == PROTOCOL_VERSION
    assert read_sessions(at.store) == []

    assert [run.arm for run in manifest.runs] == ["ours", "perfect", "broken", "given"]
    assert list(manifest.arm_changes) == ["ours", "perfect", "broken", "given"]
    assert not list((tmp_path / "work/external").iterdir())

    before = len(records)
    run_spec(spec, at)
    assert len(at.store.records()) == before  # nothing is predicted or scored again
    assert (tmp_path / "predictor.calls").read_text() == "called\n"


def test_a_command_sees_only_the_classes_that_are_evaluated(tmp_path: Path) -> None:
    """The predictor repeats the annotations it is given; another class of them would be refused."""
    file = write_shapes(tmp_path / "set", {**DATA, "val_images": 4})
    file.write_text(file.read_text() + "classes: [square, triangle]\n")
    spec = write_spec(tmp_path, PERFECT)
    spec.write_text(spec.read_text().replace(SPEC_DATA, "dataset: set/dataset.yaml"))
    at = context(tmp_path / "work")
    (step,) = plan_spec(spec, at).external
    folder = predict_external(step.unit, at.place)
    categories = {one["category_id"] for one in json.loads((folder / "segm.json").read_text())}
    assert categories == {2, 3}
    assert not (tmp_path / f"work/data/{step.unit.eval_data}/images").exists()


def test_a_time_that_is_reported_never_stands_in_the_column_of_ours(tmp_path: Path) -> None:
    """It is the only one and the latest, and still no session of the ablation."""
    other = fake_work.latency("fast", session="external-1", reported=True)
    work = fake_work.write_work(tmp_path, [fake_work.accuracy("fast"), other])
    store = Store(work / "results.jsonl")
    assert session_rows(store, {0: {"fast": "d-fast-0"}}, "fast") == ()
    groups = run_facts(work)["ablations"]
    assert isinstance(groups, list)
    assert [row["ms"] for row in groups[0]["rows"] if row["arm"] == "fast"] == [None]


@pytest.mark.parametrize(
    ("version", "scenario", "what"),
    [
        (1, "end_to_end", "end_to_end (decoded image to bit masks at image size)"),
        (2, "end_to_end", f"end_to_end ({SCENARIOS['end_to_end']})"),
        (2, "network and NMS", "network and NMS"),
    ],
)
def test_a_time_that_is_reported_is_a_footnote_that_says_what_it_includes(
    tmp_path: Path, version: int, scenario: str, what: str
) -> None:
    other = fake_work.latency(
        "sequential",
        session="external-1",
        reported=True,
        scenario=scenario,
        timer="reported by itself (samples)",
        samples_ms=(5.0,),
        protocol=TimingProtocol(version=version),
    )
    work = fake_work.write_work(tmp_path, [fake_work.latency("fast"), other])
    arms = {0: {"fast": "d-fast-0", "sequential": "d-sequential-0"}}
    (session,) = session_rows(Store(work / "results.jsonl"), arms, "fast")
    assert session.timings.keys() == {"fast"}
    assert session.refused["sequential"] == (
        "not timed in the same session as the others, so not to be compared with them: 5.0 ms, "
        f"median of 1, reported by itself (samples), fp32, {what}, on Example (CPU)"
    )


def test_a_wrong_result_file_stops_before_any_training(tmp_path: Path) -> None:
    (tmp_path / "masks.json").write_text('[{"image_id": 1}]')
    spec = write_spec(tmp_path, "  given: {segm: masks.json}\n")
    with pytest.raises(
        SpecError, match=r"external\.given: .*masks\.json: entry 1: missing category_id"
    ):
        run_spec(spec, context(tmp_path / "work"))
    assert not (tmp_path / "work/checkpoints").exists()
    assert not (tmp_path / "work/results.jsonl").exists()


def test_a_command_that_writes_nonsense_fails_alone(tmp_path: Path) -> None:
    script = "import sys, pathlib; pathlib.Path(sys.argv[1], 'segm.json').write_text('{')"
    (tmp_path / "nonsense.py").write_text(script)
    (tmp_path / "nothing.py").write_text("")
    spec = write_spec(
        tmp_path,
        '  nonsense: {command: "{python} nonsense.py {out}", version: "1"}\n'
        '  nothing: {command: "{python} nothing.py {out}", version: "1"}\n',
    )
    at = context(tmp_path / "work")
    run_spec(spec, at)
    kinds = {f.arm: (f.kind, f.message) for f in at.store.failures()}
    assert kinds["nonsense"][0] == "bad_results"
    assert "segm.json:1:2: not JSON" in kinds["nonsense"][1]
    assert kinds["nothing"][0] == "no_results"
    assert kinds.keys() == {"nonsense", "nothing"}

    plan = plan_spec(spec, at)
    assert [step.evaluated for step in plan.external] == [False, False]
    (tmp_path / "nothing.py").write_text(PREDICTOR.replace("map(", "list(map(").replace("\n", "#"))
    changed = plan_spec(spec, at)  # the script is part of what makes the result
    assert changed.external[1].failed is None
    assert changed.external[0].failed is not None


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("  x: {segments: a.json}", r"external\.x: expected \{segm"),
        ("  x: {segm: a.json, boxes: b.json}", r"external\.x\.boxes: unknown key"),
        ('  x: {command: "run {out}"}', r"version: missing"),
        ('  x: {command: "run", version: v}', r"must write into \{out\}"),
        ('  x: {command: "run {outt}", version: v}', r"'outt' \(did you mean 'out'\?\)"),
        ('  x: {command: "run \'{out}", version: v}', r"check the quotes"),
        (
            '  x: {command: "run {out}", version: v, timeout_minutes: 0}',
            r"expected a number from 1e-09 to",
        ),
        ("  ours: {segm: a.json}", r"an arm has this name"),
        ("  x: {segm: '{images}.json'}", r"no placeholder is named 'images'"),
    ],
)
def test_a_mistake_in_the_spec_is_told_with_its_place(
    tmp_path: Path, written: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as error:
        load(write_spec(tmp_path, written + "\n"))
    assert "others.yaml:17: external" in str(error.value)


def test_a_published_row_may_be_that_of_another_framework(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, PERFECT + "paper: context.mask_rcnn\n")
    spec.write_text(spec.read_text() + "paper_rows: {perfect: Mask R-CNN}\n")
    assert load(spec).paper_rows == {"perfect": "Mask R-CNN"}


def test_a_file_that_is_not_there_stops_the_plan_but_not_the_check(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, "  given: {segm: masks.json}\n")
    (row,) = load(spec).external
    assert "masks.json" in row.missing(seed=0, default_python=sys.executable)
    at = context(tmp_path / "work")
    with pytest.raises(MissingDataError, match=r"external\.given: no file .*masks\.json"):
        plan_spec(spec, at)
    only = make_plan(load(spec), place=at.place, data_root=None, only=["ours"])
    assert only.external == ()


def test_the_digest_follows_what_makes_the_result_and_nothing_else(tmp_path: Path) -> None:
    (row,) = load(write_spec(tmp_path, PERFECT)).external
    digest = row.digest(seed=0, eval_data="e")
    assert isinstance(row.entry, Command)
    same = replace(row, entry=replace(row.entry, python="/elsewhere/python"))
    assert same.digest(seed=1, eval_data="e") == digest
    assert row.digest(seed=0, eval_data="f") != digest
    newer = replace(row, entry=replace(row.entry, version="2"))
    assert newer.digest(seed=0, eval_data="e") != digest
    (tmp_path / "predictor.py").write_text(PREDICTOR + "#")
    assert row.digest(seed=0, eval_data="e") != digest


def test_a_row_with_seeds_has_a_result_for_each(tmp_path: Path) -> None:
    """`{seed}` in a path: two files, two results. Without it: one, beside the first seed."""
    for seed, score in enumerate((0.9, 0.8)):
        (tmp_path / f"s{seed}.json").write_text(json.dumps([score]))
    spec = write_spec(tmp_path, "  both: {segm: 's{seed}.json'}\n  one: {segm: s0.json}\n")
    at = context(tmp_path / "work")
    ablation = load(spec, seeds=2)
    plan = make_plan(ablation, place=at.place, data_root=None)
    assert [(s.unit.arm, s.unit.seed) for s in plan.external] == [
        ("both", 0),
        ("both", 1),
        ("one", 0),
    ]
    digests = [step.unit.detect_digest for step in plan.external]
    assert digests[0] == digests[2] != digests[1]
