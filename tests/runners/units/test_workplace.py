"""Where arms are carried out: one store for each work directory, that survives a pickle."""

import pickle
from dataclasses import replace
from pathlib import Path

from runners.units.check import resolve_unit
from runners.units.workplace import Workplace
from tests.support.fake_work import accuracy
from yolact_bench.dataset_spec.dataset import resolve_dataset


def _place(work_dir: Path) -> Workplace:
    return Workplace(work_dir=work_dir, device="cpu", workers=0)


def test_the_store_of_a_workplace_is_one_object_in_its_work_directory(tmp_path: Path) -> None:
    place = _place(tmp_path)

    assert place.store is place.store
    assert place.store.path == tmp_path / "results.jsonl"


def test_a_workplace_with_another_work_directory_has_another_store(tmp_path: Path) -> None:
    moved = replace(_place(tmp_path), work_dir=tmp_path / "other")

    assert moved.store.path == tmp_path / "other" / "results.jsonl"


def test_a_pickled_workplace_reads_what_was_added_since(tmp_path: Path) -> None:
    place = _place(tmp_path)
    place.store.add(accuracy("fast"))
    place.store.records()

    pickled = pickle.dumps(place)
    place.store.add(accuracy("sequential"))
    copy = pickle.loads(pickled)

    assert copy.work_dir == place.work_dir
    assert b"d-fast-0" not in pickled
    assert len(copy.store.records()) == 2


def test_what_is_read_of_data_is_kept_in_the_work_directory_and_no_part_of_a_digest(
    tmp_path: Path,
) -> None:
    place = _place(tmp_path / "work")
    unit, other = (
        resolve_unit("yolact_tiny", None, [], one, None, split="val")
        for one in (place, replace(place, keeps_cache=False))
    )
    assert unit.data.cache == tmp_path / "work" / "cache"
    assert other.data.cache is None
    assert unit.detect_digest == other.detect_digest
    assert not place.work_dir.exists(), "nothing is written of what is small"


def test_another_process_keeps_it_in_the_same_folder() -> None:
    spec = resolve_dataset({"name": "shapes"}, data_root=None, cache=Path("work/cache"))
    assert spec.portable().cache == Path.cwd() / "work" / "cache"
    assert resolve_dataset({"name": "shapes"}, data_root=None).portable().cache is None
