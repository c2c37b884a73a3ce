"""Which trials are asked and count, across coordinators that are killed."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from runners.sweep.ledger import Ledger, counts
from runners.sweep.open_study import storage_faults
from runners.sweep.storage import is_own, storage_url
from runners.sweep.study import Study
from tests.yolact_bench.spec.test_spec_sweep import SPEC, written
from yolact_bench.errors import SpecError
from yolact_bench.spec.sweep.sweep import load_sweep

FINITE = SPEC[: SPEC.index("space:")] + "space: {protonet.k: [4, 8], nms: {soft: {}, fast: {}}}\n"


def open_ledger(
    folder: Path,
    text: str = SPEC,
    *,
    coordinator: str = "here",
    own: bool = True,
    machine: Mapping[str, str] | None = None,
) -> Ledger:
    """A coordinator that has just been started."""
    spec = load_sweep(written(folder, text))
    study = Study(spec, storage_url(None, folder), machine or {})
    return Ledger(study=study, space=spec.space, coordinator=coordinator, own_storage=own)


def states(ledger: Ledger) -> list[str]:
    return [trial.state for trial in ledger.study.trials()]


def test_a_trial_left_running_is_retried_once_and_then_replaced(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    lost = first.next()
    assert lost is not None

    second = open_ledger(tmp_path)
    assert second.recover() == 1
    assert second.recover() == 0
    again = second.next()
    assert again is not None
    assert again.params == lost.params
    assert again.facts["retry_of"] == lost.number
    assert second.num_finished() == 0  # its second try is on its way

    third = open_ledger(tmp_path)
    assert third.recover() == 1
    assert third.num_finished() == 0  # lost for good, which does not count
    other = third.next()
    assert other is not None
    assert other.params != lost.params


def test_a_kill_in_the_middle_of_recovering_enqueues_nothing_twice(tmp_path: Path) -> None:
    """The retry is enqueued, and the kill comes before the lost trial is closed."""
    lost = open_ledger(tmp_path).next()
    assert lost is not None
    halfway = open_ledger(tmp_path)
    halfway.study.enqueue(lost.params, {"retry_of": lost.number, "coordinator": "here"})

    open_ledger(tmp_path).recover()

    assert states(halfway) == ["failed", "waiting"]


def test_a_trial_killed_before_all_its_parameters_were_drawn_is_not_retried(tmp_path: Path) -> None:
    open_ledger(tmp_path).study._study.ask()  # no parameter has been drawn

    later = open_ledger(tmp_path)
    later.recover()

    assert states(later) == ["failed"]


def test_a_trial_that_was_interrupted_on_purpose_has_its_second_try_left(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    stopped = first.next()
    assert stopped is not None
    first.release()
    second = open_ledger(tmp_path)
    assert second.recover() == 0
    again = second.next()
    assert again is not None
    assert again.params == stopped.params

    third = open_ledger(tmp_path)
    third.recover()

    last = third.next()
    assert last is not None
    assert last.params == stopped.params
    assert third.num_finished() == 0


def test_trials_of_another_coordinator_are_left_to_it(tmp_path: Path) -> None:
    open_ledger(tmp_path, coordinator="there", own=False).next()

    assert open_ledger(tmp_path, own=False).recover() == 0


def test_what_was_tried_is_not_tried_again_and_a_finite_space_ends(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, FINITE)
    seen = []
    while (trial := ledger.next()) is not None:
        seen.append(tuple(sorted(trial.params.items())))
        ledger.study.tell(trial.number, [0.5])

    assert len(seen) == len(set(seen)) == 4
    assert ledger.num_finished() == 4
    skipped = [t for t in ledger.study.trials() if "skipped" in t.facts]
    assert all(not counts(t) and t.state == "failed" for t in skipped)


def test_a_sampler_that_repeats_one_set_gets_others(tmp_path: Path) -> None:
    """The best is one of three sets without a range: a sampler that draws near it repeats them."""
    text = SPEC[: SPEC.index("space:")] + (
        "space: {nms: {soft: {}, fast: {max_iou: {low: 0.3, high: 0.8}}}, "
        "nms.max_detections: [20, 50, 100]}\n"
    )
    ledger = open_ledger(tmp_path, text)
    for _ in range(30):
        trial = ledger.next()
        assert trial is not None
        ledger.study.tell(trial.number, [1.0 if trial.params["nms"] == "soft" else 0.1])

    assert ledger.num_finished() == 30


def test_a_grid_asks_every_set_once_in_order(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, FINITE)
    ledger.enqueue_all()
    open_ledger(tmp_path, FINITE).enqueue_all()

    sets = []
    for _ in range(4):
        trial = ledger.next()
        assert trial is not None
        sets.append((trial.params["protonet.k"], trial.params["nms"]))
        ledger.study.tell(trial.number, [0.5])

    assert sets == [(4, "soft"), (4, "fast"), (8, "soft"), (8, "fast")]
    assert ledger.next() is None


def test_a_resumed_study_does_not_draw_the_same_again(tmp_path: Path) -> None:
    first = open_ledger(tmp_path).next()
    second = open_ledger(tmp_path).next()

    assert first is not None
    assert second is not None
    assert first.params != second.params


def test_another_space_under_the_same_name_is_refused_and_named(tmp_path: Path) -> None:
    open_ledger(tmp_path)
    with pytest.raises(SpecError, match=r":3: name: .* another range of nms.fast.max_iou"):
        open_ledger(tmp_path, SPEC.replace("high: 0.7", "high: 0.6"))


@pytest.mark.parametrize(
    "needs",
    [
        "mode: pareto\nobjectives: {mask_ap: maximise, latency_ratio: minimise}",
        "mode: budget\nlatency: {budget_ms: 30}\nobjectives: {mask_ap: maximise}",
    ],
)
def test_another_device_is_refused_where_times_decide(tmp_path: Path, needs: str) -> None:
    first = {"device": "A", "driver": "1"}
    timed = SPEC.replace("objectives: {mask_ap: maximise}", needs)
    open_ledger(tmp_path, timed, machine=first)
    open_ledger(tmp_path, timed, machine=first)
    with pytest.raises(SpecError, match=r"another device \(then A, now B\)"):
        open_ledger(tmp_path, timed, machine={"device": "B", "driver": "1"})


def test_without_times_several_devices_share_a_study(tmp_path: Path) -> None:
    open_ledger(tmp_path, machine={"device": "A"})
    open_ledger(tmp_path, machine={"device": "B"})


def test_lists_survive_the_storage(tmp_path: Path) -> None:
    text = SPEC.replace("protonet.k: [4, 8]", "anchors.scales: [[8, 16]]")
    trial = open_ledger(tmp_path, text).next()
    assert trial is not None
    assert trial.params["anchors.scales"] == "[8, 16]"


def test_the_default_storage_is_a_file_of_the_work_directory(tmp_path: Path) -> None:
    url = storage_url(None, tmp_path)
    assert url == f"sqlite:///{tmp_path}/optuna.db"
    assert is_own(url, tmp_path)
    assert not is_own("postgresql://host/db", tmp_path)


@pytest.mark.parametrize(
    "url", ["sqlite:///{w}/mlflow.db", "sqlite:///{w}/../{n}/mlflow.db", "sqlite:////{w}/mlflow.db"]
)
def test_the_database_of_mlflow_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SpecError, match="MLflow"):
        storage_url(url.format(w=tmp_path, n=tmp_path.name), tmp_path)


def test_a_server_that_mlflow_writes_to_is_refused_whatever_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://one:secret@Host/db")
    with pytest.raises(SpecError, match="MLflow") as raised:
        storage_url("postgresql+psycopg2://two:hidden@host/db", tmp_path)
    assert "hidden" not in str(raised.value)


def test_a_path_is_not_a_database(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="database URL such as"):
        storage_url("work/optuna.db", tmp_path)


def test_a_study_stays_with_the_content_of_its_data(tmp_path: Path) -> None:
    """One of an earlier version, which does not say it, takes what there is."""
    spec, url = load_sweep(written(tmp_path, SPEC)), storage_url(None, tmp_path)
    Study(spec, url, {})
    Study(spec, url, {}, "1a 2b")
    Study(spec, url, {}, "1a 2b")
    with pytest.raises(SpecError, match=r"another content of the data \(then 1a 2b, now 1a 3c\)"):
        Study(spec, url, {}, "1a 3c")


@pytest.mark.parametrize("fault", ["locked", "removed"])
def test_a_database_that_fails_during_a_sweep_is_one_message(tmp_path: Path, fault: str) -> None:
    ledger = open_ledger(tmp_path)
    database, url = tmp_path / "optuna.db", storage_url(None, tmp_path)
    message = (
        "was removed while" if fault == "removed" else r"cannot be used any more \(database is l"
    )

    with pytest.raises(SpecError, match=f"--storage {url}: .*{message}"), storage_faults(url):
        if fault == "removed":
            database.unlink()
        else:
            cause = sqlite3.OperationalError("database is locked")
            raise StorageInternalError("an exception was raised") from OperationalError(
                "INSERT", {}, cause
            )
    assert ledger.num_finished() == 0
