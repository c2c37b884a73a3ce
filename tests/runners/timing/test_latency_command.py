"""The command `latency`, and its curves, on an untrained arm."""

import csv
import json
import sys
from pathlib import Path

import pytest

from reports.pages import curve_page as telling
from runners.cli import main as cli
from runners.timing.curve import sizes_around
from runners.timing.request import LatencyRequest
from runners.units.workplace import Workplace
from yolact_bench.errors import SpecError
from yolact_bench.results.curve import CurvePoint, LatencyCurve
from yolact_bench.spec.latency import LatencyPlan

ARM = ["yolact_tiny", "--dataset", "shapes", "--set", "image_size=96", "--rounds", "10"]


def called(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["yolact-bench", "-q", "latency", *words])
    monkeypatch.setattr("runners.timing.rounds.MOST_CALLS", 1)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    code = stopped.value.code
    return int(code) if code else 0


def test_an_untrained_arm_is_timed_with_a_declared_load_and_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*ARM, "--scenario", "model", "--scenario", "end_to_end", "--work-dir", str(tmp_path)]
    assert called(*words, monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert "model: normalised batch on the device" in text
    assert "end_to_end: encoded image in memory" in text
    assert "untrained, load coco_like †" in text
    assert "† coco_like: object counts of 128 images" in text


def test_as_json_every_sample_and_the_protocol_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*ARM, "--scenario", "detector", "--load", "constant_7", "--json", "--batch", "2"]
    assert called(*words, "--work-dir", str(tmp_path), monkeypatch=monkeypatch) == 0
    arm = json.loads(capsys.readouterr().out)["scenarios"]["detector"]["yolact_tiny"]
    assert len(arm["samples_ms"]) == 10
    assert (arm["load"], arm["batch_size"], arm["weights"]) == ("constant_7", 2, "untrained")
    # Fast NMS lets all compete in each of 5 classes: 7 · 5 detections in each of 2 images.
    assert arm["protocol"]["detections"] == 70


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scenario", "modle"], "--scenario: unknown ['modle'] (did you mean 'model'?)"),
        (["--load", "crowded"], "--load: no detection load is named 'crowded'"),
        (["--rel-ci", "2"], "'--rel-ci': expected a number from 1e-09 to 0.999, got 2"),
        (["--batch", "0"], "'--batch': expected a whole number from 1 to 65,536, got 0"),
        (
            ["--max-seconds", "0"],
            "'--max-seconds': expected a number from 1e-09 to 1,000,000, got 0",
        ),
        (["--curve", "boxes"], "--curve boxes: unknown"),
        (
            ["--curve", "detections", "--load", "own"],
            "--curve sets the loads itself; leave --load out",
        ),
    ],
)
def test_a_mistake_is_one_message_that_names_the_option(
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert called(*ARM, *words, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("load", "sources", "loads"),
    [
        (None, {"a": "trained", "b": "trained"}, {}),
        (None, {"a": "given"}, {}),
        (None, {"a": "untrained", "b": "untrained"}, {"a": "coco_like", "b": "coco_like"}),
        ("own", {"a": "untrained", "b": "untrained"}, {}),
        (None, {"a": "trained", "b": "untrained"}, None),
        ("own", {"a": "trained", "b": "untrained"}, None),
        (
            "crowded_100",
            {"a": "trained", "b": "untrained"},
            {"a": "crowded_100", "b": "crowded_100"},
        ),
    ],
)
def test_trained_and_untrained_arms_are_timed_together_only_under_one_load(
    load: str | None, sources: dict[str, str], loads: dict[str, str] | None, tmp_path: Path
) -> None:
    """Else it would be a ratio of numbers of detections, and random weights have no real ones."""
    request = LatencyRequest(
        arms=list(sources),
        weights=None,
        dataset=None,
        settings=(),
        place=Workplace(work_dir=tmp_path, device="cpu", workers=0),
        data_root=None,
        plan=LatencyPlan(),
        load=load,
        rounds=None,
    )
    if loads is None:
        with pytest.raises(SpecError, match=r"untrained: b; trained: a; .* write --load coco_like"):
            request.loads(sources)
    else:
        assert {arm: one.name for arm, one in request.loads(sources).items()} == loads


def test_a_curve_over_detections_has_a_table_its_numbers_and_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every point finds what it asks for, as max_detections is set to it: 0, 10, 50, 100, 200."""
    words = [*ARM, "--curve", "detections", "--scenario", "detector", "--work-dir", str(tmp_path)]
    assert called(*words, monkeypatch=monkeypatch) == 0
    assert "| detections an image | yolact_tiny, ms (CPU) |" in capsys.readouterr().out
    folder = tmp_path / "reports" / "latency-detections-detector"
    assert {path.name for path in folder.iterdir()} == {
        *("curve.md", "curve.csv", "curve.json", "curve.png", "curve.svg")
    }
    lines = list(csv.DictReader((folder / "curve.csv").read_text().splitlines()))
    assert [line["detections"] for line in lines] == ["0", "10", "50", "100", "200"]
    assert [float(line["found"]) for line in lines] == [0, 10, 50, 100, 200]
    assert all(float(line["nms_ms"]) > 0 for line in lines)


def test_a_curve_of_a_small_arm_stays_above_the_smallest_image() -> None:
    """72 · 8/11 = 52 px is below the 65 px of the smallest image; 72 · 14/11 = 92 px is not."""
    assert sizes_around(72) == [65, 72, 92]
    assert sizes_around(550) == [400, 550, 700]


@pytest.mark.slow
def test_a_curve_over_image_size_brackets_the_arms_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """96 · 8/11 = 69.8, 96 · 14/11 = 122.2."""
    words = [*ARM, "--curve", "image_size", "--json", "--work-dir", str(tmp_path)]
    assert called(*words, monkeypatch=monkeypatch) == 0
    points = json.loads(capsys.readouterr().out)["points"]
    assert [point["value"] for point in points] == [70, 96, 122]


def point(arm: str, value: int, ms: float, **changes: object) -> CurvePoint:
    values: dict[str, object] = {
        "interval_ms": (ms - 1, ms + 1),
        "detections": float(value),
        "stages_ms": {"nms": ms / 10},
        "samples_ms": (ms,),
    }
    return CurvePoint(arm=arm, value=value, median_ms=ms, **{**values, **changes})  # type: ignore[arg-type]


def test_a_point_without_interval_or_arm_is_a_dash() -> None:
    curve = LatencyCurve(
        varied="detections",
        scenario="detector",
        device="Example",
        device_type="cuda",
        threads=2,
        timer="CUDA events",
        batch_size=1,
        points=(point("a", 0, 5.0), point("a", 10, 6.0), point("b", 0, 7.0, interval_ms=())),
        notes=("about the load",),
    )
    lines = telling.as_text(curve).splitlines()
    assert lines[2] == "| 0 | 5.00 [4.00, 6.00] | 7.00 – |"
    assert lines[3] == "| 10 | 6.00 [5.00, 7.00] | — |"
    assert lines[-1] == "about the load"
