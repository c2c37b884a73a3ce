"""Released weights on the command line: import-weights, evaluate, predict, and COCO's server."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

from runners.cli import main as cli
from runners.training.checkpoint import save_final
from runners.units.unit import run_yaml
from tests.support.data_fixtures import SIZE, tiny_content, write_set
from tests.support.golden_reference import released_file
from tests.yolact_bench.weights.test_released import theirs
from yolact_bench.build import build_network, load_detector
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.presets import preset


def called(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["yolact-bench", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


SMALL = ("--set", "image_size=96", "--set", "protonet.k=4")


def small_file(path: Path, *, classes: int) -> Path:
    """The small network for a number of classes, in the reference's format."""
    torch.manual_seed(0)
    names = tuple(f"class {i}" for i in range(classes))
    changed = {"image_size": 96, "protonet.k": 4, "classes": names}
    state = load_detector("yolact_tiny", None, "cpu", **changed).network.state_dict()
    torch.save({theirs(key): value for key, value in state.items()}, path)
    return path


def test_an_imported_file_is_a_checkpoint_with_its_run_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = released_file("yolact_resnet50")
    out = tmp_path / "imported"
    assert called("import-weights", file, "-o", out, "--json", monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out) == {
        "arm": "yolact_r50",
        "weights": str(out / "final.pt"),
        "run": str(out / "run.yaml"),
    }
    imported = load_detector(str(out / "run.yaml"), weights=out / "final.pt")
    direct = load_detector("yolact_r50", weights=file).network.state_dict()
    own = imported.network.state_dict()
    assert set(own) == set(direct)
    assert all(torch.equal(own[key], value) for key, value in direct.items())
    facts = torch.load(out / "final.pt", weights_only=True)["facts"]
    assert (facts["imported_from"], facts["iterations"]) == (file.name, 800_000)


def test_weights_leave_as_safetensors_with_their_classes_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint has its run.yaml beside it, and so has what is written from it."""
    run = resolve_architecture(preset("yolact_tiny").changed({"classes": ("a", "ü")}))
    first, out = tmp_path / "first" / "final.pt", tmp_path / "out" / "x.safetensors"
    network = build_network(run)
    save_final(first, run=run, facts={"iterations": 7}, network=network)
    first.with_name("run.yaml").write_text(run_yaml(run))
    assert called("import-weights", first, "-o", out, monkeypatch=monkeypatch) == 0
    with safe_open(out, framework="pt") as file:
        assert json.loads(file.metadata()["classes"]) == ["a", "ü"]
        assert json.loads(file.metadata()["facts"])["iterations"] == 7
        assert all(torch.equal(v, file.get_tensor(k)) for k, v in network.state_dict().items())
    back = tmp_path / "back"
    assert called("import-weights", out, "-o", back, monkeypatch=monkeypatch) == 0
    loaded = load_detector(str(back / "run.yaml"), weights=back / "final.pt").network.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in network.state_dict().items())
    (out.parent / "run.yaml").write_text("of another run")
    assert called("import-weights", first, "-o", out, monkeypatch=monkeypatch) == 2
    assert "of another run; name another folder" in capsys.readouterr().err


def test_an_ambiguous_file_asks_for_its_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = load_detector("yolact_r101").network.state_dict()
    torch.save({theirs(key): value for key, value in state.items()}, tmp_path / "weights.pth")
    words = ("import-weights", tmp_path / "weights.pth", "-o", tmp_path / "out")
    assert called(*words, monkeypatch=monkeypatch) == 2
    assert "--arm" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert called(*words, "--arm", "yolact_r101_im700", monkeypatch=monkeypatch) == 0
    assert "image_size: 700" in (tmp_path / "out" / "run.yaml").read_text()


def test_a_released_file_is_evaluated_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_set(tmp_path / "data")
    file = small_file(tmp_path / "small.pth", classes=2)
    words = ("evaluate", "yolact_tiny", *SMALL, "--weights", file, "--dataset", data, "--json")
    place = ("--work-dir", tmp_path / "work", "--device", "cpu")
    assert called(*words, *place, monkeypatch=monkeypatch) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["weights"] == str(file)
    assert set(output) == {"weights", "sha256", "box", "mask"}


def test_prediction_recognises_a_released_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), image)
    words = ("predict", tmp_path / "photo.png", "--weights", released_file("yolact_resnet50"))
    assert called(*words, "--out", tmp_path / "out", monkeypatch=monkeypatch) == 0
    assert (tmp_path / "out" / "photo.png").is_file()


def unannotated(folder: Path) -> Path:
    """A set whose test images come as COCO's do: image_info_…, without annotations."""
    tail = "test: {images: images, annotations: image_info_test-dev2017.json}\n"
    content: dict[str, Any] = tiny_content()
    path = write_set(folder, content, yaml_tail=tail)
    test = {"images": content["images"], "categories": content["categories"]}
    (folder / "image_info_test-dev2017.json").write_text(json.dumps(test))
    return path


def test_test_images_get_the_two_files_that_the_server_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named as COCO's server asks: detections_<images>_<algorithm>_results.json, one per task."""
    data = unannotated(tmp_path / "data")
    file = small_file(tmp_path / "small.pth", classes=2)
    words = ("evaluate", "yolact_tiny", *SMALL, "--weights", file, "--dataset", data)
    place = ("--split", "test", "--work-dir", tmp_path / "work", "--device", "cpu", "--json")
    assert called(*words, *place, monkeypatch=monkeypatch) == 0
    output = json.loads(capsys.readouterr().out)["submission"]
    name = "detections_test-dev2017_yolact_tiny_results.json"
    folder = tmp_path / "work" / "submissions" / "yolact_tiny"
    assert output == {"box": str(folder / "bbox" / name), "mask": str(folder / "segm" / name)}
    boxes = json.loads(Path(output["box"]).read_text())
    masks = json.loads(Path(output["mask"]).read_text())
    assert len(boxes) == len(masks) > 0
    assert {entry["image_id"] for entry in boxes} <= {10, 30}
    assert {entry["category_id"] for entry in boxes} <= {3, 7}
    assert set(boxes[0]) == {"image_id", "category_id", "bbox", "score"}
    assert set(masks[0]) == {"image_id", "category_id", "segmentation", "score"}
    assert masks[0]["segmentation"]["size"] == list(SIZE)
    assert not (tmp_path / "work" / "results.jsonl").exists()
