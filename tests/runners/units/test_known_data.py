"""Work that began when annotations alone identified data goes on; --hash-images compares bytes."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from runners.units.check import resolve_unit
from runners.units.known_data import unrecorded_images
from runners.units.unit import Unit, run_yaml
from runners.units.workplace import Workplace
from tests.cases.base_set import draw_images, write_base
from tests.support.fake_work import accuracy
from tests.yolact_bench.dataset_spec.test_image_identity import change_middle
from yolact_bench.dataset_spec.split import FileSplit
from yolact_bench.errors import SpecError
from yolact_bench.work_names import IMAGES, RUN


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    write_base(tmp_path / "set")
    return Workplace(work_dir=tmp_path / "work", device="cpu", workers=0)


def unit_in(place: Workplace) -> Unit:
    path = place.work_dir.parent / "set" / "dataset.yaml"
    return resolve_unit("yolact_tiny", str(path), [], place, None, split="val")


def begin_earlier(place: Workplace) -> Unit:
    """Leave a checkpoint and a record as a version did that looked at annotations alone."""
    unit = unit_in(place)
    old = {split: unit.data.fingerprint(split, images=False) for split in ("train", "val")}
    run = replace(unit.run, train_data=old["train"], eval_data=old["val"])
    folder = place.checkpoint_folder(run)
    folder.mkdir(parents=True)
    (folder / RUN).write_text(run_yaml(run))
    place.store.add(accuracy("fast", detect_digest=run.detect_digest, eval_data=old["val"]))
    return replace(unit, run=run)


def test_a_new_work_directory_has_images_in_its_digests(place: Workplace) -> None:
    unit = unit_in(place)
    assert unit.run.train_data == unit.data.fingerprint("train")
    assert unit.run.eval_data == unit.data.fingerprint("val")
    assert not (place.work_dir / IMAGES).exists()


def test_earlier_work_is_found_with_a_note_as_long_as_the_images_stay(
    place: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    earlier = begin_earlier(place)
    unit = unit_in(place)
    assert unit.train_digest == earlier.train_digest
    assert unit.detect_digest == earlier.detect_digest
    notes = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [note.partition(":")[0] for note in notes] == ["base train", "base val"]
    assert all("older than the record of images" in note for note in notes)

    assert unrecorded_images([unit], place) == ("base train", "base val")

    draw_images(place.work_dir.parent / "set" / "val", ["103.png"], seed=7)
    after = unit_in(place)
    assert unrecorded_images([after], place) == ("base train",)
    assert after.train_digest == earlier.train_digest
    assert after.run.eval_data == after.data.fingerprint("val")
    assert "base val: its images have changed" in caplog.text


@pytest.mark.parametrize(
    ("field", "value", "goes_on"),
    [
        *(("iscrowd", "0", False), ("iscrowd", False, True), ("iscrowd", 0, True)),
        *(("area", -5, False), ("area", None, True)),
    ],
)
def test_work_on_annotations_that_were_read_otherwise_is_done_again(
    place: Workplace,
    caplog: pytest.LogCaptureFixture,
    field: str,
    value: object,
    goes_on: bool,
) -> None:
    """A crowd of "0" was one, and an area of −5 px² small; that of a missing one was computed.

    False always was 0.
    """
    file = place.work_dir.parent / "set" / "val.json"
    content = json.loads(file.read_text())
    content["annotations"][0][field] = value
    if value is None:
        del content["annotations"][0][field]
    file.write_text(json.dumps(content))
    earlier = begin_earlier(place)
    for _ in range(2):
        unit = unit_in(place)
        assert unit.train_digest == earlier.train_digest
        assert (unit.detect_digest == earlier.detect_digest) == goes_on
    assert caplog.text.count("it is done again") == (not goes_on)


def test_a_damaged_record_of_images_is_refused_by_name(place: Workplace) -> None:
    place.work_dir.mkdir()
    for text in ("{", "[]", '{"0": {"samples": 3}}', "\0"):
        (place.work_dir / IMAGES).write_text(text)
        with pytest.raises(SpecError, match=r"images\.json is damaged: .*; remove it"):
            unit_in(place)


def test_all_bytes_change_no_digest_and_show_what_has_changed_since(place: Workplace) -> None:
    plain = unit_in(place)
    thorough = replace(place, hash_images=True)
    assert unit_in(thorough).detect_digest == plain.detect_digest
    recorded = json.loads((place.work_dir / IMAGES).read_text())
    assert recorded.keys() == {plain.run.train_data, plain.run.eval_data}
    assert unit_in(thorough).detect_digest == plain.detect_digest

    change_middle(place.work_dir.parent / "set" / "val" / "103.png")
    assert unit_in(place).detect_digest == plain.detect_digest
    with pytest.raises(SpecError, match=r"base val: images in .*val have changed, though not in"):
        unit_in(thorough)


def test_a_record_that_another_command_has_written_meanwhile_is_kept(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = FileSplit.images_digest

    def slow(*args: object, **options: object) -> str:
        place.work_dir.mkdir(exist_ok=True)
        (place.work_dir / IMAGES).write_text('{"other": {"samples": "0"}}')
        return take(*args, **options)  # type: ignore[arg-type]

    thorough = replace(place, hash_images=True)
    monkeypatch.setattr(FileSplit, "images_digest", slow)
    unit_in(thorough)
    recorded = json.loads((place.work_dir / IMAGES).read_text())
    assert "other" in recorded
    assert len(recorded) > 1
