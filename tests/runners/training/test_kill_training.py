"""SIGKILL at every kind of moment of a training: the same call ends with the very same bits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from runners.units.unit import Unit
from runners.workdir.gc import find
from tests.support.killed_training import DEATHS, LOG_EVERY, Kill, train_until
from tests.support.small_ablation import context, plan_spec, write_spec

ITERATIONS, VALIDATE_EVERY = 8, 4
LENGTH: Mapping[str, object] = {"schedule.iterations": ITERATIONS, "schedule.steps": [5]}
AUGMENTED = {**LENGTH, "augment": {"name": "ssd"}}
NEVER, ALWAYS = 1e9, -1.0  # seconds between checkpoints

# Every kind of moment, one after the other. What is left after each is in the comment.
EVERYWHERE = (
    (NEVER, Kill(during="a step", at=5)),  # a log up to 4, and no checkpoint
    (ALWAYS, Kill(during="the writing of a checkpoint", at=1)),  # still none
    (ALWAYS, Kill(during="a checkpoint before its rename", at=2)),  # that of 1
    (ALWAYS, Kill(during="a checkpoint after its rename", at=2)),  # that of 2
    (ALWAYS, Kill(during="the writing of a log line", at=3)),
    (ALWAYS, Kill(during="a step", at=3)),  # that of 3
    (ALWAYS, Kill(during="the cutting of the log")),
    (ALWAYS, Kill(during="a validation")),  # that of 4
    (ALWAYS, Kill(during="the writing of a validation")),
    (ALWAYS, Kill(during="the writing of a checkpoint", at=6)),  # that of 5
    (ALWAYS, Kill(during="the writing of the result")),  # that of 7
    (ALWAYS, Kill(during="the removal of the last checkpoint")),  # both
)


SOMEWHERE = (
    (NEVER, Kill(during="a step", at=5)),  # a log up to 4, and no checkpoint
    (ALWAYS, Kill(during="the writing of a checkpoint", at=2)),  # that of 1
    (ALWAYS, Kill(during="the writing of a log line", at=3)),
    (ALWAYS, Kill(during="the removal of the last checkpoint")),  # both
)


@dataclass(frozen=True)
class Left:
    """What a training has left."""

    folder: Path
    checkpoints: Path  # copies, by iteration

    def log(self) -> list[dict[str, object]]:
        """Return the lines of the log without what is measured in seconds."""
        lines = (self.folder / "log.jsonl").read_text().splitlines()
        timed = ("seconds", "images_per_second", "interval")
        return [{k: v for k, v in json.loads(x).items() if k not in timed} for x in lines]

    def result(self) -> dict[str, object]:
        """Return the weights."""
        state: dict[str, object] = torch.load(self.folder / "final.pt", weights_only=True)
        return {"network": state["network"]}

    def checkpoint(self, iteration: int) -> dict[str, object]:
        """Return all that a checkpoint holds, but the seconds."""
        file = self.checkpoints / f"{iteration}.pt"
        state: dict[str, object] = torch.load(file, weights_only=True)
        return {key: value for key, value in state.items() if key != "seconds"}


def carried_out(
    folder: Path,
    unit: Unit,
    *,
    kills: Sequence[tuple[float, Kill]] = (),
    workers: int = 0,
) -> Left:
    """Train the unit with a kill in each attempt but the last."""
    place = replace(context(folder / "work").place, workers=workers, validate_every=VALIDATE_EVERY)
    for seconds, kill in kills:
        often = replace(place, checkpoint_seconds=seconds)
        assert train_until(unit, often, folder / "kept", kill) == -9, kill
    assert train_until(unit, replace(place, checkpoint_seconds=ALWAYS), folder / "kept") == 0
    return Left(place.checkpoint_folder(unit.run), folder / "kept")


def unit(folder: Path, settings: Mapping[str, object]) -> Unit:
    """The baseline of the small ablation, changed."""
    one = plan_spec(write_spec(folder), context(folder / "plan")).steps[0].unit
    return replace(one, run=one.run.changed(settings))


def parts(state: object, where: str = "") -> Iterator[tuple[str, object]]:
    """Yield everything in nested mappings and sequences with its place."""
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from parts(value, f"{where}.{key}")
    elif isinstance(state, list | tuple):
        for index, value in enumerate(state):
            yield from parts(value, f"{where}.{index}")
    else:
        yield where, state


def differences(one: object, other: object) -> list[str]:
    """Return the places where two states are not the same bits."""
    left, right = dict(parts(one)), dict(parts(other))
    assert left.keys() == right.keys()
    return [where for where in left if not _same(left[where], right[where])]


def _same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return one == other


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Unit, Left]:
    """A training with augmentations and without a kill."""
    folder = tmp_path_factory.mktemp("undisturbed")
    one = unit(folder, AUGMENTED)
    return one, carried_out(folder, one)


@pytest.fixture(
    scope="module",
    params=[SOMEWHERE, pytest.param(EVERYWHERE, marks=pytest.mark.slow)],
    ids=["somewhere", "everywhere"],
)
def killed(
    request: pytest.FixtureRequest,
    undisturbed: tuple[Unit, Left],
    tmp_path_factory: pytest.TempPathFactory,
) -> Left:
    """The same training, killed at these moments."""
    folder = tmp_path_factory.mktemp("killed")
    return carried_out(folder, undisturbed[0], kills=request.param)


def test_every_kind_of_moment_is_tried() -> None:
    assert {kill.during for _, kill in EVERYWHERE} == set(DEATHS)


def test_the_weights_are_those_of_an_undisturbed_training(
    undisturbed: tuple[Unit, Left], killed: Left
) -> None:
    assert differences(undisturbed[1].result(), killed.result()) == []


@pytest.mark.parametrize("iteration", [1, 3, 4, 5, 6, 7])  # a kill came before 2 was copied
def test_every_checkpoint_has_the_same_optimiser_and_random_states(
    iteration: int, undisturbed: tuple[Unit, Left], killed: Left
) -> None:
    one, other = undisturbed[1].checkpoint(iteration), killed.checkpoint(iteration)
    assert len(one["optimizer"]["state"]) > 50  # type: ignore[index]
    assert set(one["random"]) == {"torch", "cuda", "numpy", "python"}  # type: ignore[call-overload]
    assert differences(one, other) == []


def test_the_log_has_each_line_once_with_the_same_losses(
    undisturbed: tuple[Unit, Left], killed: Left
) -> None:
    """Lines after 3, 6 and 8, a validation after 4; a line averages what came before a kill too."""
    log = killed.log()
    assert [line["iteration"] for line in log] == [LOG_EVERY, VALIDATE_EVERY, 6, ITERATIONS]
    assert log == undisturbed[1].log()


def test_only_files_that_gc_knows_are_left(killed: Left) -> None:
    """Kills were amidst a file: of checkpoints and of the log."""
    names = {path.name for path in killed.folder.iterdir() if not path.name.startswith(".")}
    assert names == {"run.yaml", "log.jsonl", "final.pt"}
    work = killed.folder.parents[1]
    later = killed.folder.stat().st_mtime + 1e6
    found = find(work, now=later)
    assert not found.left
    assert [item.path for item in found.items] == [killed.folder]  # temporary files with it


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_workers_change_nothing(precision: str, tmp_path: Path) -> None:
    """Killed with two workers that prefetch, in a step and in a checkpoint; none in the other."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    short = {"schedule.iterations": 4, "schedule.steps": [3]}
    one = unit(tmp_path, {**AUGMENTED, **short, "precision": precision})
    kills = (
        (ALWAYS, Kill(during="a step", at=1)),
        (ALWAYS, Kill(during="the writing of a checkpoint", at=3)),
    )
    whole = carried_out(tmp_path / "a", one)
    broken = carried_out(tmp_path / "b", one, kills=kills, workers=2)
    assert differences(whole.result(), broken.result()) == []
    assert differences(whole.checkpoint(3), broken.checkpoint(3)) == []
    assert whole.log() == broken.log()
