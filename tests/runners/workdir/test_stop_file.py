"""The file by which another process asks a training to end."""

from pathlib import Path

import pytest

from runners.arms.train import ensure_trained
from runners.system.interrupt import TrainingStop
from runners.workdir.stop_file import (
    StopFileWatch,
    clear_stop_request,
    has_stop_request,
    request_stop,
)
from tests.support.small_ablation import context, plan_spec, write_spec


def test_a_stop_file_ends_a_training_with_a_checkpoint_that_it_continues_from(
    tmp_path: Path,
) -> None:
    at = context(tmp_path / "work")
    unit = plan_spec(write_spec(tmp_path), at).steps[0].unit
    folder = at.place.checkpoint_folder(unit.run)
    request_stop(folder)
    with pytest.raises(TrainingStop):
        ensure_trained(unit, at.place)
    assert (folder / "last.pt").is_file()
    clear_stop_request(folder)
    assert ensure_trained(unit, at.place).iterations == 3


def test_a_request_stands_until_it_is_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    clear_stop_request(folder)
    assert not has_stop_request(folder)
    request_stop(folder)
    assert has_stop_request(folder)
    clear_stop_request(folder)
    assert not has_stop_request(folder)


def test_the_file_is_looked_for_once_a_second_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks are at 10.0 and 11.0 of the clock's times; the request comes after the first."""
    times = iter([10.0, 10.9, 11.0])
    monkeypatch.setattr("runners.workdir.stop_file.time.monotonic", lambda: next(times))
    file = StopFileWatch(tmp_path)
    assert not file()
    request_stop(tmp_path)
    assert not file()
    assert file()
