"""Work beside the main process: the same files, errors that arrive, and nothing left behind."""

import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from runners.evaluation import predict as evaluating
from runners.evaluation import score as scoring
from runners.evaluation.encode import Encoders, _lines_of_parts, encode_lines, lines_of
from runners.evaluation.files import BOX_FILE, MASK_FILE, PredictionKey, prediction_files
from runners.evaluation.predict import predict
from runners.system.helper_process import HelperProcess
from tests.runners.evaluation.coco.test_coco_score import NAMES, scene
from tests.runners.evaluation.test_predict import KEY, Oracle, Squares
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.geometry.run_lengths import mask_toggles

FILES = (BOX_FILE, MASK_FILE, "meta.json")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def found(score: float, *, size: int = 40) -> SoftDetections:
    soft = torch.rand(3, 10, 10, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(3, 1)
    scores = torch.tensor([score, 0.5, 0.25])
    return SoftDetections(
        boxes=boxes,
        boxes_px=boxes * size,
        scores=scores,
        mask_scores=scores,
        labels=torch.tensor([0, 1, 0]),
        soft_masks=soft,
        height=size,
        width=size,
        mask_threshold=0.5,
    )


def test_lines_made_beside_are_those_made_here_and_in_order() -> None:
    """Seven images for two processes, with more waiting than either could hold."""
    images = [(found(0.1 * number), number) for number in range(7)]

    here = list(encode_lines(images, (11, 42)))
    with Encoders(2) as encoders:
        beside = list(encode_lines(images, (11, 42), encoders))

    assert beside == here
    assert [line.length for line in here] == [3] * 7
    assert len(set(here)) == 7


def test_masks_that_come_as_toggles_give_the_same_lines() -> None:
    """As they come from a GPU, which keeps the soft masks."""
    one = found(0.7)
    toggles = mask_toggles(one.soft_masks, one.height, one.width)
    parts = {field.name: getattr(one, field.name) for field in fields(one)}
    assert _lines_of_parts({**parts, "soft_masks": toggles}, 3, (11, 42)) == lines_of(
        one, 3, (11, 42)
    )


def test_a_score_that_is_no_number_arrives_as_the_arms_error() -> None:
    images = [(found(0.3), 1), (found(float("nan")), 2), (found(0.4), 3)]

    with Encoders(1) as encoders:
        lines = encode_lines(images, (11, 42), encoders)

        assert next(lines).length == 3
        with pytest.raises(ArmError, match=r"image 2: .* write precision: fp32") as stopped:
            list(lines)
    assert stopped.value.kind == "non_finite_score"


def test_an_interrupt_while_processes_work_leaves_none() -> None:
    def interrupted() -> Iterator[tuple[SoftDetections, int]]:
        yield found(0.3), 1
        yield found(0.4), 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Encoders(2) as encoders:
        list(encode_lines(interrupted(), (11, 42), encoders))


def test_prediction_files_are_the_same_to_the_byte_with_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(Oracle(), Squares(), tmp_path / "serial", KEY)
    monkeypatch.setattr(evaluating, "_WORTH_A_PROCESS", 1)
    predict(Oracle(), Squares(), tmp_path / "beside", KEY, processes=2, batch_size=2)

    for name in (BOX_FILE, MASK_FILE):
        ours, plain = (tmp_path / folder / name for folder in ("beside", "serial"))
        assert ours.read_bytes() == plain.read_bytes()


def test_few_images_start_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: HelperProcess) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(HelperProcess, "__init__", refuse)
    predict(Oracle(), Squares(), tmp_path, KEY, processes=4)


def test_a_helper_answers_in_order_and_hands_on_what_is_raised() -> None:
    with HelperProcess() as helper:
        helper.send(operator.add, 1, 2)
        helper.send(operator.truediv, 1, 0)
        helper.send(pow, 7, exp=2)
        assert helper.receive() == 3
        with pytest.raises(ZeroDivisionError):
            helper.receive()
        assert helper.receive() == 49


def test_a_helper_that_was_killed_is_an_error_of_the_arm() -> None:
    with HelperProcess() as helper:
        helper.send(os.getpid)
        os.kill(helper.receive(), signal.SIGKILL)
        with pytest.raises(ArmError, match="exit code -9") as stopped:
            helper.send(os.getpid)
            helper.receive()
    assert stopped.value.kind == "process_died"


KILLED = """
import os, signal
from runners.system.helper_process import HelperProcess
if __name__ == "__main__":
    helper = HelperProcess()
    helper.send(os.getpid)
    print(helper.receive(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_helper_ends_when_its_main_process_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL

    deadline = time.monotonic() + 20
    while Path(f"/proc/{int(run.stdout)}/cmdline").is_file() and time.monotonic() < deadline:
        if not Path(f"/proc/{int(run.stdout)}/cmdline").read_bytes():
            break  # ended, and not yet collected
        time.sleep(0.05)
    assert time.monotonic() < deadline


class Scene(Squares):
    """A drawn data set of which only the annotations are needed."""

    classes = tuple(NAMES.values())
    category_ids = tuple(NAMES)

    def __init__(self, truth: dict[str, object]) -> None:
        self._truth = truth

    def ground_truth(self) -> dict[str, object]:
        return self._truth


def test_boxes_and_masks_scored_side_by_side_score_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, boxes, masks = scene()
    with prediction_files(tmp_path, PredictionKey("d", "w", 12)) as files:
        files.extend(boxes, masks)
    one_by_one = scoring.score_predictions(Scene(truth), tmp_path)
    matches = {path: path.read_bytes() for path in tmp_path.glob("*.npz")}
    monkeypatch.setattr(scoring, "_worth_a_process", lambda results: True)
    for path in matches:
        path.unlink()

    assert scoring.score_predictions(Scene(truth), tmp_path) == one_by_one
    assert {path: path.read_bytes() for path in tmp_path.glob("*.npz")} == matches


@pytest.mark.parametrize("name", [BOX_FILE, MASK_FILE])
def test_a_damaged_file_is_the_users_mistake_also_beside(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, boxes, masks = scene(2)
    with prediction_files(tmp_path, PredictionKey("d", "w", 2)) as files:
        files.extend(boxes, masks)
    (tmp_path / name).write_text("[")
    monkeypatch.setattr(scoring, "_worth_a_process", lambda results: True)

    with pytest.raises(SpecError, match=f"{name}:.* not JSON"):
        scoring.score_predictions(Scene(truth), tmp_path)
