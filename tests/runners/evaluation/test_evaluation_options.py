"""How an evaluation is carried out: engine and batch size, and that records say so."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from reports.summary.caveats import caveats
from reports.tables.origins import origin
from runners.arms.analyse import ensure_resampled
from runners.arms.evaluate import evaluate_unit, predict_together
from runners.arms.train import ensure_trained
from runners.cli.command import PlaceOptions
from runners.cli.main import app
from runners.evaluation.stored_pass import META_FILE
from runners.system.helper_process import HelperProcess, can_start_helpers
from tests.runners.evaluation.test_replay import VARIANTS, units_in, write_spec
from tests.support.fake_work import accuracy, manifest
from yolact_bench.errors import SpecError
from yolact_bench.results.record import Accuracy
from yolact_bench.results.resamples import read_resamples
from yolact_bench.results.serialise import from_plain, plain_fields
from yolact_bench.work_names import RESAMPLES


def test_a_record_says_what_scored_it_and_in_which_batches(tmp_path: Path) -> None:
    """Two units from a stored pass in batches of two, a third by the whole detector."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    place = replace(place, scoring="vectorised", eval_batch=2)
    training = ensure_trained(units[0], place)

    predict_together(units[:2], place)
    replayed = [evaluate_unit(unit, place, training) for unit in units[:2]]

    stored = place.predictions(units[0].run.forward_digest) / META_FILE
    assert json.loads(stored.read_text())["batch_size"] == 2
    # Predictions are there: that a record asks for another batch size now makes none.
    later = evaluate_unit(units[0], replace(place, scoring="pycocotools", eval_batch=1), training)
    alone = evaluate_unit(units[4], place, training)
    assert [one.eval_batch for one in (*replayed, alone, later)] == [2, 2, 2, 2]
    assert [one.scoring for one in (*replayed, later)] == [*["vectorised"] * 2, "pycocotools"]
    assert later.mask == replayed[0].mask


def test_a_record_says_what_its_evaluation_counts(tmp_path: Path) -> None:
    """With one detection of a class in an image, every image with two discs is crowded."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    training = ensure_trained(units[0], place)
    coco = evaluate_unit(units[0], place, training)
    options = {"evaluation.max_dets": 1, "evaluation.classes": ["disc"]}
    run = units[0].run.changed(options)
    one = replace(units[0], run=run)

    record = evaluate_unit(one, place, training)

    assert record.evaluation == {"max_dets": 1, "classes": ["disc"]}
    assert record.mask.ap_by_class.keys() == {"disc"}
    annotations = place.datasets.open(one.data, "val").ground_truth()["annotations"]
    assert isinstance(annotations, list)
    discs = Counter(a["image_id"] for a in annotations if a["category_id"] == 1)
    assert record.crowded_images == sum(number > 1 for number in discs.values())
    assert record.detect_digest != coco.detect_digest
    assert coco.evaluation == {}
    ensure_resampled(one, place, sizes=True)
    columns, _ = read_resamples(place.work_dir / RESAMPLES / f"{record.detect_digest}.npz")
    assert np.nanmin(columns["mask_ap"]) >= 0
    assert from_plain(Accuracy, plain_fields(record)) == record


@pytest.mark.parametrize("field", ["evaluation", "crowded_images"])
def test_the_record_of_cocos_evaluation_is_that_of_earlier_versions(field: str) -> None:
    plain = accuracy("fast")
    assert field not in plain_fields(plain)
    changes = {"evaluation": {"max_dets": 3}, "crowded_images": 3}
    assert field in plain_fields(accuracy("fast", **{field: changes[field]}))


def test_a_report_says_which_options_are_not_cocos() -> None:
    areas = {"small": [0.0, 400.0], "medium": [400.0, 900.0], "large": [900.0, 1e4]}
    options = {"max_dets": 300, "areas": areas}
    other = accuracy("deformable", evaluation=options, crowded_images=3)
    text = "max_dets 300; areas small 0 to 400, medium 400 to 900, large 900 to 10000 px²"

    notes = caveats(manifest(), [accuracy("fast"), other], [])

    assert f"The evaluation (deformable) is not COCO's: {text}; AR100 is with max_dets." in notes
    assert any(
        note.startswith("3 images have more objects of a class than the 300") for note in notes
    )
    alone = caveats(manifest(), [other], [])
    assert f"The evaluation is not COCO's: {text}; AR100 is with max_dets." in alone
    assert not any("COCO" in note for note in caveats(manifest(), [accuracy("fast")], []))
    assert origin(other, 0).endswith(f", with {text}")


def test_a_pass_begun_in_other_batches_is_made_anew(tmp_path: Path) -> None:
    """Half of it would round otherwise than the other half."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    predict_together(units[:2], place)
    stored = place.predictions(units[0].run.forward_digest) / META_FILE
    stored.unlink()
    for unit in units[:2]:
        (place.predictions(unit.run.detect_digest) / "meta.json").unlink()
    first = stored.with_name("0000000.npz")
    before = first.stat().st_mtime_ns

    predict_together(units[:2], replace(place, eval_batch=2))

    assert first.stat().st_mtime_ns > before


def test_origins_name_another_engine_and_batch_size() -> None:
    text = origin(accuracy("fast", scoring="faster-coco-eval 1.8.0", eval_batch=8), 0)

    assert text.endswith(", scored by faster-coco-eval 1.8.0, in batches of 8")
    assert "scored" not in origin(accuracy("fast"), 0)


def test_mixed_engines_and_batch_sizes_are_noted_beside_the_table() -> None:
    mixed = [accuracy("fast"), accuracy("fast", seed=1, scoring="vectorised", eval_batch=4)]

    notes = caveats(manifest(), mixed, [])

    assert "The accuracies were scored by different engines: pycocotools, vectorised." in notes
    assert any("batches of different size" in sentence and "1, 4" in sentence for sentence in notes)
    assert not any("engine" in sentence for sentence in caveats(manifest(), mixed[:1], []))


def test_trainings_that_round_differently_are_noted_beside_the_table() -> None:
    """Compiling and the number of devices are in no digest. Given weights were not trained here."""
    plain, compiled = accuracy("fast"), accuracy("fast", seed=1, compile_network=True, devices=2)
    given = accuracy("fast", seed=1, compile_network=True, devices=2, iterations=0)

    notes = caveats(manifest(), [plain, compiled], [])

    start = "The arms were trained"
    assert f"{start} by different programs, which round differently: eager, compiled." in notes
    assert f"{start} on different numbers of devices, which round differently: 1, 2." in notes
    assert not any(start in note for note in caveats(manifest(), [plain, given], []))


def test_a_note_names_all_that_a_training_was_carried_out_by() -> None:
    ways = {"compile_network": True, "record_step": True, "cudnn_benchmark": True}
    notes = caveats(manifest(), [accuracy("fast"), accuracy("fast", seed=1, **ways)], [])
    assert any(n.endswith(": eager, compiled + one graph + cuDNN benchmark.") for n in notes)


@pytest.mark.parametrize("way", ["compile_network", "record_step", "cudnn_benchmark"])
def test_the_record_of_an_eager_training_is_that_of_earlier_versions(way: str) -> None:
    """Which refuse fields that they do not know."""
    plain, other = accuracy("fast"), accuracy("fast", **{way: True})

    assert plain_fields(other) == {**plain_fields(plain), way: True}
    assert way not in plain_fields(plain)
    assert from_plain(Accuracy, plain_fields(plain)) == plain


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"device": "cpu"}, "--graph: a CUDA graph needs a GPU, not cpu; leave it out"),
        ({"device": "cuda", "devices": 2}, "--graph: the step of 2 devices .* --devices 1"),
    ],
)
def test_a_graph_of_steps_is_refused_where_there_can_be_none(
    options: dict[str, object], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(SpecError, match=fault):
        _ = PlaceOptions(work_dir=tmp_path, record_step=True, **options).place  # type: ignore[arg-type]


def test_an_engine_that_is_not_there_stops_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="--scoring: no engine is named 'cocoeval'"):
        _ = PlaceOptions(work_dir=tmp_path, device="cpu", scoring="cocoeval").place


def test_helpers_encode_masks_if_workers_are_set(tmp_path: Path) -> None:
    """On a CPU the network has the cores, unless --workers is given."""
    assert PlaceOptions(work_dir=tmp_path, device="cpu").place.encoders == 0
    assert PlaceOptions(work_dir=tmp_path, device="cpu", workers=3).place.encoders == 3


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_both_commands_take_engine_and_batch_size(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output

    assert "--scoring" in shown
    assert "--eval-batch" in shown


def test_a_helper_cannot_start_helpers() -> None:
    assert can_start_helpers()
    with HelperProcess() as helper:
        helper.send(can_start_helpers)
        assert helper.receive() is False
