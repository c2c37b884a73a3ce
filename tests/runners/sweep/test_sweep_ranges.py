"""A space that leaves an option's range is refused before the first trial, with its line."""

from pathlib import Path

import pytest

from runners.sweep.check import check_sweep
from tests.support.small_ablation import context
from yolact_bench.errors import SpecError
from yolact_bench.spec.sweep.sweep import load_sweep


def checked(folder: Path, space: str) -> None:
    file = folder / "sweep.yaml"
    file.write_text(f"schema: 1\nbase: yolact_tiny\ntrials: 3\nspace:\n  {space}\n")
    check_sweep(load_sweep(file), context(folder / "work").place, None, data=False)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("nms.max_iou: {low: 0.3, high: 1.7}", "nms.fast.max_iou: expected a number from 0 to 1"),
        ("nms.top_k: [0, 100]", "expected a whole number from 1 to 100,000, got 0"),
        ("nms.top_k: {low: 1, high: 1000000}", "from 1 to 100,000, got 1000000"),
        ("schedule.lr: {low: 1e-12, high: 1, log: true}", "from 1e-09 to 1,000,000, got 1e-12"),
        ("schedule.iterations: {low: 0, high: 9}", "expected a whole number from 1 to"),
        ("protonet.k: {low: 1, high: 9, step: 0.5}", "expected a whole number .*, got 1.0"),
        ("protonet.k: {low: 1, high: 9.5}", "expected a whole number .*, got "),
        ("image_size: {low: 32, high: 200}", "expected a whole number from 65 to 8,192, got 32"),
        ("nms: {fast: {max_iou: {low: -1, high: 1}}}", "expected a number from 0 to 1, got -1"),
        ("nms: {fast: {max_iou: .nan}}", "expected a number from 0 to 1, got nan"),
        ("anchors.scales: [[14, 28, 56, 104, 150], [0, 1, 2, 3, 4]]", "a list of 5 numbers from"),
    ],
)
def test_a_space_outside_an_options_range_is_refused(
    space: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(
        SpecError, match=rf"sweep\.yaml:5: space\.{space.partition(':')[0]}.*{message}"
    ):
        checked(tmp_path, space)


def test_a_step_wider_than_its_range_is_refused(tmp_path: Path) -> None:
    """Optuna would draw the lowest value alone, with a warning."""
    message = r"space\.protonet\.k\.step: expected at most 5 - 4, .* got 3"
    with pytest.raises(SpecError, match=message):
        checked(tmp_path, "protonet.k: {low: 4, high: 5, step: 3}")
    with pytest.raises(SpecError, match=r"expected at most 0.5 - 0.4, "):
        checked(tmp_path, "nms.max_iou: {low: 0.4, high: 0.5, step: 0.2}")
    checked(tmp_path, "nms.max_iou: {low: 0.4, high: 0.6, step: 0.2}")
