"""Curves of a training in another process, read from the file that it writes."""

import json
from pathlib import Path

from runners.executors.log_follower import LogFollower
from runners.training.log import TrainingLog


def losses(iteration: int) -> dict[str, object]:
    """A line as the training loop writes it."""
    return {
        "iteration": iteration,
        "losses": {"box": 1.0, "mask": 0.5},
        "total": 1.5,
        "lr": 0.01,
        "images_per_second": 8.0,
        "seconds": 2.0,
    }


def iterations(follower: LogFollower) -> list[int]:
    return [iteration for iteration, _ in follower.new()]


def test_points_have_the_names_that_the_training_itself_tells(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl")
    log.append(losses(10))
    log.append({"iteration": 10, "validation": {"mask_ap": 0.25}})
    assert LogFollower(tmp_path / "log.jsonl").new() == [
        (
            10,
            {
                "train/loss_box": 1.0,
                "train/loss_mask": 0.5,
                "train/loss": 1.5,
                "train/lr": 0.01,
                "train/images_per_second": 8,
            },
        ),
        (10, {"val/mask_ap": 0.25}),
    ]


def test_each_look_gives_what_is_new_and_a_torn_line_when_it_is_whole(tmp_path: Path) -> None:
    follower = LogFollower(path := tmp_path / "log.jsonl")
    assert iterations(follower) == []  # the training has not begun
    log = TrainingLog(path)
    log.append(losses(10))
    assert iterations(follower) == [10]
    line = json.dumps(losses(20)) + "\n"
    with path.open("a") as file:
        file.write(line[:15])
    assert iterations(follower) == []
    with path.open("a") as file:
        file.write(line[15:])
    assert iterations(follower) == [20]
    assert iterations(follower) == []


def test_a_resumed_training_tells_no_iteration_twice(tmp_path: Path) -> None:
    """The log went up to 30, the last checkpoint was of 15: it is cut, and grows beyond."""
    follower = LogFollower(path := tmp_path / "log.jsonl")
    log = TrainingLog(path)
    for iteration in (10, 20, 30):
        log.append(losses(iteration))
    assert iterations(follower) == [10, 20, 30]
    log.cut(15)
    assert iterations(follower) == []
    for iteration in (20, 30, 40):
        log.append(losses(iteration))
    assert iterations(follower) == [40]


def test_a_line_that_a_kill_has_torn_is_passed_over(tmp_path: Path) -> None:
    follower = LogFollower(path := tmp_path / "log.jsonl")
    path.write_text(json.dumps(losses(10))[:-20] + "\n" + json.dumps(losses(20)) + "\n")
    assert iterations(follower) == [20]
