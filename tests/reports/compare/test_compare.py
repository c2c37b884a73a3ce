"""What `compare` says of two ablations, and `list runs` of one work directory."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reports.compare.compare import ReportComparison, compare, lines
from tests.runners.cli.test_cli import exit_code
from tests.support.fake_work import (
    accuracy,
    environment,
    failure,
    finished_records,
    latency,
    manifest,
    write_work,
)
from yolact_bench.errors import SpecError
from yolact_bench.results.manifest import Manifest, save
from yolact_bench.results.record import Record
from yolact_bench.results.store import Store


def write(work: Path, records: list[Record], plan: Manifest | None = None) -> Path:
    """Manifest and records alone."""
    plan = plan or manifest()
    save(plan, work / "reports" / plan.name)
    for record in records:
        Store(work / "results.jsonl").add(record)
    return work


def against(
    tmp_path: Path, records: list[Record] | None = None, plan: Manifest | None = None
) -> ReportComparison:
    """The finished ablation compared with another."""
    a = write(tmp_path / "a", finished_records())
    b = write(tmp_path / "b", finished_records() if records is None else records, plan)
    return compare(str(a), str(b), name=None, work_dir=tmp_path / "none")


def replanned(**runs: dict[str, object]) -> Manifest:
    """The manifest with another resolved run for some arms."""
    return manifest(
        runs=tuple(replace(run, run=runs.get(run.arm, run.run)) for run in manifest().runs)
    )


def test_equal_work_directories_do_not_differ(tmp_path: Path) -> None:
    found = against(tmp_path)
    assert not found.differs
    told = "\n".join(lines(found))
    assert "quick: no difference in arms, settings or numbers" in told
    assert "two sessions" not in told  # both have session s1


def test_a_number_that_differs_is_told_with_its_difference_in_points(tmp_path: Path) -> None:
    """deformable: mask AP 33.50 → 33.90; every other metric of it moves by 0.40, too."""
    records = [
        accuracy("deformable", shift=0.004) if r == accuracy("deformable") else r
        for r in finished_records()
    ]
    pair = against(tmp_path, records).ablations[0]
    assert {n.arm for n in pair.numbers} == {"deformable"}
    mask_ap = next(n for n in pair.numbers if n.metric == "mask AP")
    assert (mask_ap.a, mask_ap.b) == pytest.approx((33.5, 33.9))
    assert mask_ap.delta == pytest.approx(0.4)
    assert mask_ap.same_digest
    # Of six metrics of two kinds, large objects have none.
    assert len(pair.numbers) == 10


def test_arms_that_came_went_or_were_renamed_are_told(tmp_path: Path) -> None:
    plan = manifest()
    runs = [r for r in plan.runs if r.arm != "sequential"]
    runs = [replace(r, arm="dcn") if r.arm == "deformable" else r for r in runs]
    runs.append(replace(runs[0], arm="matrix", detect_digest="d-matrix-0"))
    changes = {run.arm: {} for run in runs}
    pair = against(tmp_path, plan=manifest(runs=tuple(runs), arm_changes=changes)).ablations[0]
    assert pair.arms_removed == ("sequential",)
    assert pair.arms_added == ("matrix",)
    assert [(c.a, c.b) for c in pair.arms_renamed] == [("deformable", "dcn")]
    assert pair.numbers == ()  # a renamed arm is the same run


def test_settings_are_compared_slot_by_slot_and_said_once_for_several_arms(tmp_path: Path) -> None:
    fast = {"nms": {"name": "fast", "max_iou": 0.5}, "precision": "fp32", "seed": 0}
    other = {"nms": {"name": "fast", "max_iou": 0.6}, "precision": "fp32", "seed": 0}
    arms = ("fast", "deformable")
    a = write(tmp_path / "a", [], replanned(**dict.fromkeys(arms, fast)))
    plan = replace(replanned(**dict.fromkeys(arms, other)), base="yolact_r50")
    b = write(tmp_path / "b", [], plan)
    pair = compare(str(a), str(b), name="quick", work_dir=tmp_path).ablations[0]
    assert [(c.arms, c.what, c.a, c.b) for c in pair.arm_settings] == [
        (arms, "nms.max_iou", "0.5", "0.6")
    ]
    assert [(c.what, c.a, c.b) for c in pair.settings] == [("base", "yolact_tiny", "yolact_r50")]


def test_failures_and_missing_records_are_told(tmp_path: Path) -> None:
    records = [r for r in finished_records() if r not in (failure(), accuracy("sequential"))]
    pair = against(tmp_path, [*records, failure("fast", phase="latency")]).ablations[0]
    assert {(c.what, c.a.split(" ")[0], c.b.split(" ")[0]) for c in pair.failures} == {
        ("arm broken seed 0", "evaluate", "none"),
        ("arm fast seed 0", "none", "latency"),
    }
    assert [(c.arms, c.what, c.b) for c in pair.records] == [
        (("sequential seed 0",), "accuracy", "missing")
    ]


def test_both_failures_of_a_run_are_told_where_both_are_measured(tmp_path: Path) -> None:
    failed = [failure("fast", phase="latency"), failure("fast", phase="errors")]
    records = [*finished_records(), *failed]
    both = manifest(measure=("accuracy", "latency", "errors"))
    (told,) = against(tmp_path / "both", records, plan=both).ablations[0].failures
    assert [part.split(" ")[0] for part in told.b.split("; ")] == ["latency", "errors"]
    alone = manifest(measure=("accuracy",))
    assert against(tmp_path / "alone", records, plan=alone).ablations[0].failures == ()


def test_other_commits_and_versions_are_told_but_are_no_difference(tmp_path: Path) -> None:
    versions = {"python": "3.11.2", "torch": "2.12.0", "numpy": "2.4.0"}
    new = environment(commit="badcafe", versions=versions)
    records = [replace(record, environment=new) for record in finished_records()]
    found = against(tmp_path, records)
    assert not found.differs
    changes = {c.what: (c.a, c.b) for c in found.ablations[0].provenance}
    assert changes == {"commit": ("c0ffee1", "badcafe"), "torch": ("2.11.0", "2.12.0")}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"environment": environment(device="Other (CPU)")}, "device Example (CPU) in A, Other"),
        ({"environment": environment(threads=4)}, "threads 2 in A, 4 in B"),
        ({"timer": "CUDA events"}, "timer wall clock in A, CUDA events in B"),
    ],
)
def test_times_of_different_hardware_or_protocol_are_refused_with_the_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    arms = ("fast", "deformable")
    records: list[Record] = [accuracy(arm) for arm in arms]
    pair = against(tmp_path, records + [latency(arm, **change) for arm in arms]).ablations[0]
    assert pair.latencies == ()
    assert reason in (pair.latency_refused or "")


def test_times_of_equal_machines_stand_side_by_side_as_two_sessions(tmp_path: Path) -> None:
    """Both medians are shown; times of two sessions never share a ratio."""
    slow = replace(
        latency("fast", session="s2"), samples_ms=tuple(2 * ms for ms in latency("fast").samples_ms)
    )
    found = against(tmp_path, [accuracy("fast"), slow])
    change = next(c for c in found.ablations[0].latencies if c.arm == "fast")
    assert change.a is not None
    assert change.b == pytest.approx(2 * change.a)
    assert (change.ratio, change.same_session) == (None, False)
    other = next(c for c in found.ablations[0].latencies if c.arm == "deformable")
    assert (other.ratio, other.refused) == (None, "not timed in B")
    assert "two sessions" in "\n".join(lines(found))


def test_times_of_one_session_have_a_ratio(tmp_path: Path) -> None:
    pair = against(tmp_path, finished_records()).ablations[0]
    ratios = [change.ratio for change in pair.latencies if change.same_session]
    assert ratios
    assert ratios == pytest.approx([1.0] * len(ratios))


def test_a_ratio_within_a_session_is_of_paired_rounds(tmp_path: Path) -> None:
    """Two of five calls take three times as long: the median ratio is 1, that of medians is not."""
    samples = tuple(
        ms * (3 if place % 5 < 2 else 1) for place, ms in enumerate(latency("fast").samples_ms)
    )
    slow = replace(latency("fast"), samples_ms=samples)
    found = against(tmp_path, [accuracy("fast"), slow])
    change = next(c for c in found.ablations[0].latencies if c.arm == "fast")
    assert change.same_session
    assert change.ratio == pytest.approx(1.0)
    assert change.a is not None
    assert change.b is not None
    assert change.b / change.a > 1.05


def test_two_reports_are_given_by_folder_or_by_name(tmp_path: Path) -> None:
    work = write(tmp_path / "work", finished_records())
    write(work, [], replace(manifest(), name="again", question="What else?"))
    folder = str(work / "reports" / "again")
    for b in ("again", folder):
        found = compare("quick", b, name=None, work_dir=work)
        assert found.ablations[0].title == "quick → again"
        assert [c.what for c in found.ablations[0].settings] == ["question"]


def test_ablations_that_only_one_has_are_told(tmp_path: Path) -> None:
    write(tmp_path / "b", [], replace(manifest(), name="more"))
    found = against(tmp_path)
    assert found.only_in_b == ("more",)
    assert found.differs


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{work}", "quick"), "is one ablation; give two of a kind"),
        (("quick", "quikc"), "did you mean 'quick'"),
        (("{work}", "{work}", "--name", "quikc"), "did you mean 'quick'"),
        (("quick", "quick", "--name", "quick"), "of two work directories"),
    ],
)
def test_a_mistake_names_what_there_is(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    work = write(tmp_path / "work", [])
    given = [word.format(work=work) for word in words]
    assert exit_code("compare", *given, "--work-dir", str(work), monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_two_missing_places_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="give two work directories, or two ablations"):
        compare("a", "b", name=None, work_dir=tmp_path)


def test_the_command_loads_no_torch_takes_under_a_second_of_cpu_and_can_set_its_exit_code(
    tmp_path: Path,
) -> None:
    against(tmp_path, [accuracy("fast", shift=0.01)])
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--exit-code", "--json"]
    program = (
        "import sys, time\n"
        f"sys.argv = ['yolact-bench', *{words!r}]\n"
        "from runners.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 1, stop.code\n"
        "heavy = {'torch', 'mlflow', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(time.process_time(), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["differs"]
    assert float(done.stderr.split()[-1]) < 3  # three times the promise: CI machines are slow


def test_the_list_of_runs_says_how_far_each_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records: list[Record] = [accuracy("fast"), accuracy("deformable"), failure(), latency("fast")]
    single = replace(accuracy("sequential"), ablation="", detect_digest="d-single", arm="mine")
    work = write_work(tmp_path / "work", [*records, single])
    place = ("list", "runs", "--work-dir", str(work))
    assert exit_code(*place, "--json", monkeypatch=monkeypatch) == 0
    quick, others = json.loads(capsys.readouterr().out)["ablations"]
    states = {row["arm"]: (row["state"], row["detail"]) for row in quick["rows"]}
    assert states == {
        "fast": ("done", ""),
        "sequential": ("open", ""),
        "cross_class_fast": ("open", ""),
        "deformable": ("partly", "not timed"),
        "broken": ("failed", "evaluate (error): sigma must be above 0"),
    }
    assert [row["arm"] for row in others["rows"]] == ["mine"]
    assert exit_code(*place, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("quick: What do NMS variants")
    # Half of 100 rounds lie below 40 ms × (1 + 0.2 × median of sin n).
    row = next(line.split() for line in told if line.strip().startswith("fast"))
    assert row[:4] == ["fast", "0", "31.0", "35.0"]
    assert row[5:7] == ["done", "c0ffee1"]


def test_a_proxy_is_marked_in_the_list_of_runs(tmp_path: Path) -> None:
    from runners.workdir.list_runs import run_lines

    work = write(tmp_path / "work", [], replace(manifest(), budget="smoke"))
    assert next(iter(run_lines(work))).startswith("quick [smoke budget: a proxy]:")
