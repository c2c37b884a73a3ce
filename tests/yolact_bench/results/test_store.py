"""The store and the manifest: nothing measured is lost, and nothing broken is read silently."""

import json
import logging
import multiprocessing
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support import fake_work
from yolact_bench.errors import SpecError
from yolact_bench.results.files import atomic_path, write_atomically
from yolact_bench.results.manifest import load, save
from yolact_bench.results.serialise import to_plain
from yolact_bench.results.store import Store


def _store(tmp_path: Path) -> Store:
    return Store(tmp_path / "work" / "results.jsonl")


def test_every_kind_of_record_comes_back_equal(tmp_path: Path) -> None:
    store = _store(tmp_path)
    added = [fake_work.accuracy("fast"), fake_work.latency("fast"), fake_work.failure()]
    for record in added:
        store.add(record)
    assert list(Store(store.path).records()) == added
    first = json.loads(store.path.read_text().splitlines()[0])
    assert (first["schema"], first["type"]) == (1, "Accuracy")


def test_an_analysis_of_errors_goes_with_the_score_before_it(tmp_path: Path) -> None:
    """Weights may be replaced and scored again; what their errors are is not known then."""
    store = _store(tmp_path)
    split = fake_work.errors("fast")
    for record in (fake_work.accuracy("fast"), split, fake_work.accuracy("fast", seed=1)):
        store.add(record)
    assert store.errors(split.detect_digest) == split
    store.add(fake_work.accuracy("fast"))
    assert store.errors(split.detect_digest) is None
    store.add(split)
    assert store.errors(split.detect_digest) == split


def test_a_line_has_batch_norms_that_stayed_only_where_there_are_some(tmp_path: Path) -> None:
    """Versions without that field read the other lines."""
    store = _store(tmp_path)
    for norms in (0, 3):
        store.add(fake_work.latency("fast", unfolded_norms=norms))
    lines = [json.loads(line) for line in store.path.read_text().splitlines()]
    assert [line.get("unfolded_norms") for line in lines] == [None, 3]
    assert [record.unfolded_norms for record in Store(store.path).latencies()] == [0, 3]


def test_a_store_sees_what_another_one_appends_later(tmp_path: Path) -> None:
    mine, other = _store(tmp_path), _store(tmp_path)
    assert mine.accuracy("d-fast-0") is None
    other.add(fake_work.accuracy("fast"))
    assert mine.accuracy("d-fast-0") == fake_work.accuracy("fast")
    other.add(fake_work.accuracy("fast", shift=0.1))
    assert mine.accuracy("d-fast-0") == fake_work.accuracy("fast", shift=0.1)


@pytest.mark.parametrize("cut", [1, 20, 300])
def test_a_line_torn_by_power_loss_is_ignored_and_the_next_one_is_whole(
    tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Cutting 1 byte takes the line break alone: that record is complete and is kept."""
    store = _store(tmp_path)
    store.add(fake_work.accuracy("fast"))
    store.add(fake_work.accuracy("deformable"))
    store.path.write_bytes(store.path.read_bytes()[:-cut])
    expected = 2 if cut == 1 else 1
    with caplog.at_level(logging.WARNING):
        assert len(Store(store.path).records()) == expected
    assert bool(caplog.records) == (cut != 1)

    Store(store.path).add(fake_work.failure())
    assert len(Store(store.path).records()) == expected + 1


def test_any_other_broken_line_is_an_error_that_names_file_and_line(tmp_path: Path) -> None:
    store = _store(tmp_path)
    for arm in ("fast", "sequential", "deformable"):
        store.add(fake_work.accuracy(arm))
    lines = store.path.read_text().splitlines(keepends=True)
    store.path.write_text(lines[0] + lines[1][:50] + "\n" + lines[2])
    with pytest.raises(SpecError, match=r"results\.jsonl, line 2: not a record"):
        Store(store.path).accuracy("d-fast-0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 7}, "schema 7"),
        ({"type": "Rumour"}, "Rumour"),
        ({"seed": "zero"}, r"Accuracy\.seed: 'zero' is of the wrong type"),
        ({"sede": 0}, "no field is named 'sede' .did you mean 'seed'"),
    ],
)
def test_a_line_of_another_shape_is_an_error(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    store = _store(tmp_path)
    store.add(fake_work.accuracy("fast"))
    store.path.write_text(json.dumps({**json.loads(store.path.read_text()), **change}) + "\n")
    with pytest.raises(SpecError, match=message):
        Store(store.path).records()


def test_only_the_same_phase_makes_a_failure_good(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.add(fake_work.failure("fast", phase="train"))
    store.add(fake_work.failure("fast", phase="latency"))
    store.add(fake_work.failure("deformable", phase="train"))
    store.add(fake_work.accuracy("fast"))
    assert [(f.arm, f.phase) for f in store.failures()] == [
        ("fast", "latency"),
        ("deformable", "train"),
    ]
    store.add(fake_work.latency("fast"))
    assert store.failures(["d-fast-0"]) == ()
    again = replace(fake_work.failure("deformable", phase="train"), message="again")
    store.add(again)
    assert store.failures() == (again,)


def test_a_failed_timing_is_none_of_an_ablation_that_times_nothing(tmp_path: Path) -> None:
    store = _store(tmp_path)
    for phase in ("latency", "errors"):
        store.add(fake_work.failure("fast", phase=phase))
    store.add(fake_work.accuracy("fast"))
    message = fake_work.failure().message
    assert store.why_failed("d-fast-0", ["accuracy"]) is None
    assert store.why_failed("d-fast-0", ["accuracy", "latency"]) == f"latency: {message}"
    both = store.why_failed("d-fast-0", ["latency", "errors"])
    assert both == f"latency: {message}; errors: {message}"
    by_run = store.failures_by_run(["d-fast-0"], ["errors"])
    assert [one.phase for one in by_run["d-fast-0"]] == ["errors"]


def test_of_a_run_without_accuracy_the_failure_that_keeps_it_from_one_counts(
    tmp_path: Path,
) -> None:
    store = _store(tmp_path)
    store.add(fake_work.failure("fast", phase="train"))
    store.add(fake_work.failure("fast", phase="latency"))
    told = store.why_failed("d-fast-0", ["latency"])
    assert told == f"train: {fake_work.failure().message}"


def _append(path: Path, count: int) -> None:
    store = Store(path)
    for _ in range(count):
        store.add(fake_work.accuracy("fast"))


def test_writers_in_several_processes_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append, args=(path, 20)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Store(path).records()) == 4 * 20


def test_array_numbers_are_stored_as_numbers() -> None:
    plain = to_plain({"seconds": np.float32(2.5), "images": (np.int64(7), True, None)})
    assert json.dumps(plain) == '{"seconds": 2.5, "images": [7, true, null]}'
    with pytest.raises(TypeError, match="object"):
        to_plain(object())


def test_a_manifest_comes_back_equal(tmp_path: Path) -> None:
    manifest = fake_work.manifest(seeds=(0, 1))
    path = save(manifest, tmp_path / "reports" / "quick")
    assert load(path) == manifest
    assert load(path.parent) == manifest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "another version"),
        ('{"schema": 99}', "schema 99"),
        ('{"schema": 1, "name": "x"}', "missing question"),
    ],
)
def test_a_broken_manifest_says_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(text)
    with pytest.raises(SpecError, match=f"manifest.json.*: .*{message}.*`run` the ablation"):
        load(file)
    with pytest.raises(SpecError, match="no such manifest"):
        load(tmp_path / "elsewhere.json")


def test_a_file_that_could_not_be_written_whole_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "report.md"
    write_atomically(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["report.md"]


def test_results_and_reports_load_no_torch() -> None:
    modules = "sys, reports.pages.build, yolact_bench.results.expect"
    code = f"import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
