"""Times of a throttled or shared GPU: kept, marked, reported, and measured again by a run."""

import csv
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runners.cli import main as cli
from runners.timing.device.watch import DeviceWatch
from runners.workdir.list_runs import run_facts
from tests.support.built_reports import build_text, leave_out_figures, page
from tests.support.fake_nvml import UUID, FakeNvml
from tests.support.small_ablation import context, write_spec
from yolact_bench.results import sessions
from yolact_bench.results.device_facts import read_device_facts
from yolact_bench.results.fingerprint import fingerprint, timing_facts
from yolact_bench.results.record import Latency
from yolact_bench.results.sessions import Times

NO_ENERGY = frozenset({"energy"})  # which would be measured in calls of their own
REASON = "throttled: hardware thermal slowdown in"


def hot(_: object) -> DeviceWatch:
    """A watch that takes this machine for a GPU that is too hot, and that counts no energy."""
    nvml = FakeNvml(pids=(os.getpid(),), reasons=0x40, missing=NO_ENERGY)
    return DeviceWatch(UUID, nvml=nvml, interval_s=0.0)


def cool(_: object) -> DeviceWatch:
    nvml = FakeNvml(pids=(os.getpid(),), missing=NO_ENERGY)
    return DeviceWatch(UUID, nvml=nvml, interval_s=0.0)


Run = Callable[[Callable[[object], DeviceWatch]], int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("invalid")


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the small ablation with a watch, and return the exit code."""

    def once(watch: Callable[[object], DeviceWatch]) -> int:
        leave_out_figures(monkeypatch)
        monkeypatch.setattr("runners.timing.session.watch", watch)
        place = ("--work-dir", str(folder / "work"), "--device", "cpu", "--workers", "0")
        words = ("run", str(write_spec(folder)), "--rounds", "2", "--json", *place)
        monkeypatch.setattr(sys, "argv", ["yolact-bench", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0)

    return once


def latencies(folder: Path) -> list[Latency]:
    return [r for r in context(folder / "work").store.records() if isinstance(r, Latency)]


def test_a_throttled_gpu_ends_a_run_with_5_after_everything_is_written(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(hot) == 5
    printed = capsys.readouterr()
    assert json.loads(printed.out)["times_invalid"].startswith(REASON)
    records = latencies(folder)
    assert [record.arm for record in records] == ["k_4", "k_2", "sequential"]
    assert all(record.invalid.startswith(REASON) and record.samples_ms for record in records)
    report = build_text(folder / "work", "small")
    assert REASON in page(report)
    with (report.folder / "table.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert all(line["latency_median_ms"] == "" for line in lines)
    assert all(line["mask_ap"] != "" for line in lines)


def test_the_next_run_times_again(run: Run, folder: Path) -> None:
    assert run(cool) == 0
    assert [record.invalid == "" for record in latencies(folder)] == [False] * 3 + [True] * 3
    assert REASON not in page(build_text(folder / "work", "small"))


def test_records_hold_the_facts_of_the_device_and_a_fingerprint(folder: Path) -> None:
    for record in latencies(folder)[3:]:
        facts = read_device_facts(record.facts)
        assert facts is not None
        assert facts.gpu is not None
        assert facts.gpu.samples >= 2  # one before each round
        assert facts.host.seconds > 0
        assert record.fingerprint == fingerprint(timing_facts(record))


def test_a_new_rule_is_one_entry_that_run_report_and_list_obey(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times of two rounds counted until the rule forbids them: they are taken again."""
    reason = "fewer than 3 rounds"

    def few_rounds(arms: Sequence[Times]) -> str:
        return reason if any((arm.protocol.rounds or 0) < 3 for arm in arms) else ""

    def details() -> set[str]:
        ablations = run_facts(folder / "work")["ablations"]
        assert isinstance(ablations, list)
        return {row["detail"] for row in ablations[0]["rows"]}

    assert run(cool) == 0
    before = len(latencies(folder))
    assert details() == {""}

    monkeypatch.setattr(sessions, "RULES", (sessions.measured_reason, few_rounds))
    capsys.readouterr()
    assert run(cool) == 5
    assert len(latencies(folder)) == before + 3
    assert json.loads(capsys.readouterr().out)["times_invalid"] == reason
    assert f"do not count: {reason}" in page(build_text(folder / "work", "small"))
    assert details() == {f"times do not count: {reason}"}

    def exempt_smoke(arms: Sequence[Times]) -> str:
        return few_rounds([arm for arm in arms if not arm.protocol.is_smoke])

    monkeypatch.setattr(sessions, "RULES", (sessions.measured_reason, exempt_smoke))
    capsys.readouterr()
    assert run(cool) == 0
    assert details() == {""}


@pytest.mark.parametrize(
    "words",
    [
        ("latency", "--dataset", "shapes", "--rounds", "2", "--scenario", "model"),
        pytest.param(
            ("latency", "--dataset", "shapes", "--rounds", "2", "--curve", "image_size", "--json"),
            marks=pytest.mark.slow,
        ),
        pytest.param(("profile", "--max-seconds", "0.5"), marks=pytest.mark.slow),
        ("profile", "--max-seconds", "0.5", "--json"),
    ],
)
def test_every_command_that_times_says_why_its_times_do_not_count_and_exits_with_5(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("runners.timing.session.watch", hot)
    command, *options = words
    place = ("--set", "image_size=72", "--device", "cpu", "--work-dir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["yolact-bench", command, "yolact_tiny", *options, *place])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 5
    printed = capsys.readouterr()
    assert f"the times do not count: {REASON}" in printed.err
    for file in tmp_path.glob("reports/*/*.md"):
        assert REASON in file.read_text()
    assert "--json" not in options or json.loads(printed.out)["invalid"].startswith(REASON)
