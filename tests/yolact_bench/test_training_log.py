"""Lines of log.jsonl, whole ones alone, and their points under one set of names."""

import json
from pathlib import Path

import pytest

from yolact_bench.training_log import curve_points, entry_points, read_log

LOSSES: dict[str, object] = {
    "iteration": 10,
    "losses": {"box": 1.0, "mask": 0.5},
    "total": 1.5,
    "lr": 0.01,
    "images_per_second": 8.0,
    "seconds": 2.0,
}


def test_losses_and_rates_are_of_the_training() -> None:
    assert curve_points(LOSSES) == (
        10,
        {
            "train/loss_box": 1.0,
            "train/loss_mask": 0.5,
            "train/loss": 1.5,
            "train/lr": 0.01,
            "train/images_per_second": 8.0,
        },
    )


def test_times_of_the_last_steps_are_points_too_where_the_log_has_them() -> None:
    line = LOSSES | {"interval": {"images_per_second": 9.0, "loader_ms": 1.5}}
    iteration, points = curve_points(line)
    assert (iteration, points) == (
        10,
        curve_points(LOSSES)[1]
        | {"train/interval/images_per_second": 9.0, "train/interval/loader_ms": 1.5},
    )


def test_an_undefined_metric_of_a_validation_is_no_point() -> None:
    line = {"iteration": 20, "validation": {"mask_ap": 0.25, "mask_ap50": None}}
    assert curve_points(line) == (20, {"val/mask_ap": 0.25})


@pytest.mark.parametrize(
    "line", [{}, {"iteration": 1}, {"iteration": None}, {"iteration": 1, "validation": [0.5]}]
)
def test_another_line_is_an_error(line: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        curve_points(line)
    assert entry_points(line) is None


def test_a_log_is_read_without_what_a_crash_left_in_it(tmp_path: Path) -> None:
    """A torn line in the middle, bytes of a power loss, another JSON value, and a torn end."""
    assert read_log(tmp_path / "none.jsonl") == []
    file = tmp_path / "log.jsonl"
    whole = json.dumps(LOSSES).encode()
    file.write_bytes(
        b"\n".join([whole, whole[:9], b"\x00\xff\x00", b"5", b"{}", whole, whole[:-1]])
    )
    assert read_log(file) == [LOSSES, LOSSES]
