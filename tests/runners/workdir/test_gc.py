"""What `gc` finds, and what it never touches."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runners.workdir.garbage import Garbage
from runners.workdir.gc import find, remove
from runners.workdir.leftovers import FRESH_SECONDS
from tests.runners.cli.test_cli import exit_code
from tests.support.fake_sweeps import save_sweep, sweep_of, trial_of
from tests.support.fake_work import accuracy, manifest, write_work
from yolact_bench.errors import SpecError
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.record import Accuracy, Record
from yolact_bench.results.store import Store


def put(path: Path, size: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def age(work: Path, *, but: Sequence[Path] = ()) -> None:
    """Everything was written two hours ago."""
    for path in [*work.rglob("*")]:
        if path not in but:
            old = path.stat().st_mtime - 2 * FRESH_SECONDS
            os.utime(path, (old, old))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A finished ablation of two trainings, as fake_work has it, with its files."""
    work = write_work(tmp_path / "work")
    for training in ("t-plain-0", "t-dcn-0"):
        put(work / "checkpoints" / training / "final.pt")
        put(work / "checkpoints" / training / "run.yaml", 10)
    for arm in ("fast", "deformable"):
        put(work / "predictions" / f"d-{arm}-0" / "meta.json")
        put(work / "predictions" / f"d-{arm}-0" / "bbox.json")
    put(work / "resamples" / "d-gone-0.npz")
    put(work / "mlflow.db")
    age(work)
    return work


def paths(garbage: Garbage) -> list[str]:
    return [str(item.path.relative_to(garbage.work_dir)) for item in garbage.items]


def tree(work: Path) -> dict[str, int]:
    return {str(p): p.stat().st_size for p in sorted(work.rglob("*")) if p.is_file()}


def test_what_records_and_manifests_refer_to_stays(work: Path) -> None:
    garbage = find(work)
    assert garbage.items == ()
    assert garbage.left == ()


def test_a_training_that_nothing_refers_to_goes_with_its_folder(work: Path) -> None:
    put(work / "checkpoints" / "t-gone" / "final.pt", 3000)
    put(work / "checkpoints" / "t-gone" / "log.jsonl", 500)
    age(work)
    garbage = find(work)
    assert paths(garbage) == ["checkpoints/t-gone"]
    assert garbage.size == 3500
    assert "no record and no manifest" in garbage.items[0].reason
    before = tree(work)
    remove(garbage)
    gone = before.keys() - tree(work).keys()
    assert {Path(path).parent.name for path in gone} == {"t-gone"}
    assert not (work / "checkpoints" / "t-gone").exists()


def test_a_training_in_progress_is_left(work: Path) -> None:
    last = put(work / "checkpoints" / "t-new" / "last.pt")
    age(work, but=[last])
    garbage = find(work)
    assert garbage.items == ()
    assert "within the last hour" in garbage.left[0].reason
    os.utime(last, (0, 0))
    age(work)
    assert paths(find(work)) == ["checkpoints/t-new"]


def test_an_interim_checkpoint_goes_once_its_training_is_finished(work: Path) -> None:
    put(work / "checkpoints" / "t-plain-0" / "last.pt", 7000)
    garbage = find(work)
    assert paths(garbage) == ["checkpoints/t-plain-0/last.pt"]
    remove(garbage)
    assert (work / "checkpoints" / "t-plain-0" / "final.pt").is_file()


def test_temporary_files_of_killed_writes_go_wherever_they_are(work: Path) -> None:
    names = [
        "checkpoints/t-plain-0/.last.0a1b2c3d.tmp.pt",
        "predictions/d-fast-0/.bbox.0a1b2c3d.tmp.json",
        "reports/quick/.report.0a1b2c3d.tmp.md",
        "resamples/.d-fast-0.0a1b2c3d.tmp.npz",
        ".mlflow.0a1b2c3d.tmp.db",
        ".mlflow.0a1b2c3d.tmp.db-journal",
    ]
    for name in names:
        put(work / name)
    age(work)
    young = put(work / "checkpoints" / "t-plain-0" / ".last.11112222.tmp.pt")
    garbage = find(work)
    assert sorted(paths(garbage)) == sorted(names)
    assert [left.path for left in garbage.left] == [young]


def test_a_stored_pass_goes_when_all_that_replay_it_are_evaluated(work: Path) -> None:
    """`broken` replays the pass of t-plain and has no accuracy; t-dcn's arm has one."""
    for training in ("t-plain-0", "t-dcn-0"):
        put(work / "predictions" / f"f-{training}" / "pass.json")
        put(work / "predictions" / f"f-{training}" / "0000000.npz", 5000)
    garbage = find(work)
    assert paths(garbage) == ["predictions/f-t-dcn-0"]
    Store(work / "results.jsonl").add(accuracy("broken"))
    assert paths(find(work)) == ["predictions/f-t-dcn-0", "predictions/f-t-plain-0"]


def test_detections_with_given_weights_and_of_unknown_digests_go(work: Path) -> None:
    put(work / "predictions" / "d-fast-0-0123456789abcdef" / "meta.json")
    put(work / "predictions" / "d-gone-0" / "bbox.json")
    age(work)
    assert paths(find(work)) == [
        "predictions/d-fast-0-0123456789abcdef",
        "predictions/d-gone-0",
    ]


def only(arm: str) -> Manifest:
    """The manifest after `run SPEC --only ARM`, or after an arm has left the spec."""
    whole = manifest()
    return manifest(
        arm_changes={arm: whole.arm_changes[arm]},
        runs=tuple(run for run in whole.runs if run.arm == arm),
    )


def test_work_that_a_record_alone_refers_to_goes_only_on_request(tmp_path: Path) -> None:
    records: list[Record] = [accuracy("fast"), accuracy("deformable")]
    work = write_work(tmp_path / "work", records, only("fast"))
    put(work / "checkpoints" / "t-plain-0" / "final.pt")
    put(work / "checkpoints" / "t-dcn-0" / "final.pt")
    age(work)
    assert find(work).items == ()
    assert paths(find(work, superseded=True)) == ["checkpoints/t-dcn-0"]


def test_what_a_single_command_has_evaluated_is_always_needed(tmp_path: Path) -> None:
    single: Accuracy = replace(accuracy("deformable"), ablation="")
    work = write_work(tmp_path / "work", [accuracy("fast"), single], only("fast"))
    put(work / "checkpoints" / "t-dcn-0" / "final.pt")
    age(work)
    assert find(work, superseded=True).items == ()


def test_nothing_that_is_not_understood_is_touched(work: Path) -> None:
    put(work / "checkpoints" / "t-gone" / "thesis.tex")
    put(work / "predictions" / "mine" / "notes.txt")
    put(work / "notes.txt")
    age(work)
    garbage = find(work)
    assert garbage.items == ()
    assert {str(left.path.relative_to(work)) for left in garbage.left} == {
        "checkpoints/t-gone",
        "predictions/mine",
        "notes.txt",
    }


def test_a_manifest_that_cannot_be_read_protects_everything(work: Path) -> None:
    put(work / "checkpoints" / "t-gone" / "final.pt")
    put(work / "predictions" / "d-gone-0" / "bbox.json")
    (work / "reports" / "torn").mkdir()
    (work / "reports" / "torn" / "manifest.json").write_text("{")
    age(work)
    garbage = find(work)
    assert garbage.items == ()
    assert "cannot be read" in garbage.left[0].reason


def test_a_dry_run_changes_nothing_and_delete_never_touches_the_records(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(work / "checkpoints" / "t-gone" / "final.pt", 2_500_000)
    age(work)
    before, words = tree(work), ("gc", "--work-dir", str(work))
    assert exit_code(*words, monkeypatch=monkeypatch) == 0
    output = capsys.readouterr().out
    assert "2.5 MB  in 1 places can be removed; --delete does it" in output
    assert tree(work) == before
    assert exit_code(*words, "--delete", "--json", monkeypatch=monkeypatch) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["bytes"], facts["deleted"]) == (2_500_000, True)
    after = tree(work)
    lock = str(work / ".lock")
    assert {p: n for p, n in after.items() if p != lock} == {
        p: n for p, n in before.items() if "t-gone" not in p
    }


def test_a_missing_work_directory_is_said_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such folder"):
        find(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_predictions_killed_before_any_was_whole_are_understood(work: Path) -> None:
    """Only temporary files: with the folder where nothing needs it, alone where a record does."""
    put(work / "predictions" / "d-gone" / ".bbox.0123abcd.tmp.json")
    put(work / "predictions" / "d-sequential-0" / ".bbox.0123abcd.tmp.json")
    age(work)
    garbage = find(work)
    assert garbage.left == ()
    needed = "predictions/d-sequential-0/.bbox.0123abcd.tmp.json"
    assert sorted(paths(garbage)) == ["predictions/d-gone", needed]


def test_trainings_of_a_sweep_stay_but_for_those_that_were_given_up(work: Path) -> None:
    states = {"running": "t-running", "failed": "t-lost", "pruned": "t-pruned"}
    trials = [
        trial_of(number, state, train_digest=digest)
        for number, (state, digest) in enumerate(states.items())
    ]
    save_sweep(work, sweep_of(*trials, trains=True))
    for digest in states.values():
        put(work / "checkpoints" / digest / "last.pt")
        put(work / "checkpoints" / digest / ".lock", 0)
    put(work / "optuna.db")
    age(work)

    garbage = find(work)

    assert paths(garbage) == ["checkpoints/t-pruned"]
    assert garbage.left == ()
