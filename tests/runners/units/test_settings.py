"""Settings of a command line, and how records repeat the command."""

from pathlib import Path

import pytest

from runners.units.settings import command_text, parse_settings
from yolact_bench.errors import SpecError


def test_values_are_yaml() -> None:
    settings = parse_settings(["schedule.lr=1.0e-3", "nms={name: soft}"])
    assert settings == {"schedule.lr": 0.001, "nms": {"name": "soft"}}


@pytest.mark.parametrize("setting", ["schedule.lr", "=3", "nms={name: soft"])
def test_a_setting_that_cannot_be_read_is_refused(setting: str) -> None:
    with pytest.raises(SpecError, match="--set"):
        parse_settings([setting])


def test_a_recorded_command_has_no_folder_of_this_machine(tmp_path: Path) -> None:
    text = command_text(
        "run", tmp_path / "nms.yaml", ["a=1", "b=2"], {"--seeds": 3, "--budget": None}
    )
    assert text == "yolact-bench run nms.yaml --set a=1 --set b=2 --seeds 3"
    relative = command_text("sweep", Path("sweeps/nms.yaml"), [], {})
    assert relative == "yolact-bench sweep sweeps/nms.yaml"
