"""Settings of a command line."""

import pytest

from runners.units.settings import parse_settings
from yolact_bench.errors import SpecError


def test_values_are_yaml() -> None:
    settings = parse_settings(["schedule.lr=1.0e-3", "nms={name: soft}"])
    assert settings == {"schedule.lr": 0.001, "nms": {"name": "soft"}}


@pytest.mark.parametrize("setting", ["schedule.lr", "=3", "nms={name: soft"])
def test_a_setting_that_cannot_be_read_is_refused(setting: str) -> None:
    with pytest.raises(SpecError, match="--set"):
        parse_settings([setting])
