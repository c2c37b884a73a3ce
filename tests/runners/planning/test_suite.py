"""Several ablations as one suite: what is shared, what it costs, what stays unknown."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runners.cli.main import main
from runners.planning.rates import Throughput
from runners.planning.suite import Suite, make_suite
from runners.planning.suite_cost import SuiteCost, estimate_suite, scale_suite, suite_tasks
from runners.planning.text.suite import suite_facts, suite_lines
from runners.planning.user_rates import UserRates, parse_rates
from runners.system.environment import environment
from runners.timing.records import NO_LIMITS
from tests.support import fake_work
from tests.support.paths import ABLATIONS
from tests.support.small_ablation import SPEC, context, write_spec
from yolact_bench.errors import SpecError
from yolact_bench.resolve import resolve_run
from yolact_bench.results.record import TimingProtocol
from yolact_bench.spec.ablation import load
from yolact_bench.spec.presets import preset

FOLDER = ABLATIONS
# The first three arms are those of SPEC; k_8 and its second seed are this one's own.
OTHER = SPEC.replace("name: small", "name: other").replace(
    "  k_2: {protonet.k: 2}", "  k_8: {protonet.k: 8}"
)
SECONDS = 3 * 2 / 4.0  # 3 iterations of 2 images at 4 images/s


@pytest.fixture
def small(tmp_path: Path) -> Suite:
    """small: k_4, k_2, sequential (of k_4); other: k_4, k_8, sequential, with seeds 0 and 1."""
    first = write_spec(tmp_path)
    second = tmp_path / "other.yaml"
    second.write_text(OTHER.replace("baseline:", "seeds: [0, 1]\nbaseline:"))
    at = context(tmp_path / "work")
    specs = [load(first), load(second)]
    return make_suite(specs, place=at.place, data_root=None)


def priced(suite: Suite, folder: Path, given: UserRates) -> SuiteCost:
    at = context(folder / "work")
    rates = Throughput(at.place, given, device="none")
    return estimate_suite(suite, rates, at.place)


def called(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["yolact-bench", "--quiet", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return int(str(left.value.code or 0))


def test_what_an_ablation_before_has_trained_is_not_trained_again(small: Suite) -> None:
    """small trains k_4, k_2; other needs k_4, k_8 of seeds 0, 1, and finds k_4 of seed 0."""
    first, second = small.members
    assert [len(first.units), len(second.units)] == [3, 6]
    assert [len(first.trainings), len(second.trainings)] == [2, 4]
    assert [len(small.new_trainings(one)) for one in small.members] == [2, 3]
    assert [len(small.new_evaluations(one)) for one in small.members] == [3, 4]


def test_savings_are_those_of_the_trainings_that_are_shared(small: Suite, tmp_path: Path) -> None:
    """9 units; 2 + 4 trainings within each; 2 + 3 across. Evaluation has no rate and no part."""
    cost = priced(small, tmp_path, UserRates(every=4.0))
    assert not cost.counts_evaluation
    assert cost.unshared == 9 * SECONDS
    assert cost.shared_within == 6 * SECONDS
    assert cost.shared == 5 * SECONDS
    assert [cost.added_by(one) for one in small.members] == [2 * SECONDS, 3 * SECONDS]


def test_known_evaluations_count_beside_those_that_are_named_as_unknown(
    small: Suite, tmp_path: Path
) -> None:
    """All but the last distinct evaluation take 1.5 s: 6 of 3 + 4."""
    cost = priced(small, tmp_path, UserRates(every=4.0, evaluation=2.0))
    last = list(cost.detect_seconds)[-1]
    seconds = {**cost.detect_seconds, last: None}
    cost = replace(cost, detect_seconds=seconds, unknown_evaluations=("other/k_8",))
    assert cost.shared == 5 * SECONDS + 6 * 1.5
    assert "rate of evaluation unknown: other/k_8" in "\n".join(suite_lines(cost, [], price=None))


def test_evaluation_counts_once_its_rate_is_given(small: Suite, tmp_path: Path) -> None:
    """3 images at 2 images/s are 1.5 s for each of 9 units, of which 3 + 4 are distinct."""
    cost = priced(small, tmp_path, UserRates(every=4.0, evaluation=2.0))
    assert cost.unshared == 9 * SECONDS + 9 * 1.5
    assert cost.shared == 5 * SECONDS + 7 * 1.5


def test_a_training_is_one_task_with_its_evaluations_and_timing_comes_last(
    small: Suite, tmp_path: Path
) -> None:
    """k_4 of seed 0 is evaluated by its own NMS and by `sequential`: 1.5 + 2 · 1.5 s."""
    cost = priced(small, tmp_path, UserRates(every=4.0, evaluation=2.0))
    tasks = suite_tasks(cost, 1, 1.0)
    assert tasks is not None
    lengths = {task.key: task.seconds for task in tasks}
    digests = {u.title: u.run.train_digest for u in small.members[0].units}
    assert lengths[digests["k_4"]] == 4.5
    assert lengths[digests["k_2"]] == 3.0
    timing = {task.key: task for task in tasks if task.key.startswith("timing")}
    assert set(timing) == {"timing small", "timing other"}
    assert timing["timing small"].seconds == 300  # the rounds of one scenario take at most so long
    assert set(timing["timing small"].after) == {digests["k_4"], digests["k_2"]}
    assert set(timing["timing other"].after) == small.members[1].trainings  # of both seeds
    wide = suite_tasks(cost, 2, 1.5)
    assert wide is not None
    assert wide[0].seconds == SECONDS / 1.5 + 2 * 1.5  # evaluation is not counted as sharded
    assert wide[0].devices == 2


def test_arms_that_have_been_timed_together_are_not_timed_again(
    small: Suite, tmp_path: Path
) -> None:
    """All arms of `small`, in one session of two rounds; `run` would time more without a limit."""
    at = context(tmp_path / "work")
    protocol = TimingProtocol(version=2, rel_ci=0.01, max_s=5.0, rounds=2, ended="rounds")
    for unit in small.members[0].units:
        values = {"environment": environment("cpu"), "protocol": protocol}
        digest = unit.run.detect_digest
        at.store.add(fake_work.latency("fast", detect_digest=digest, **values))
    specs = [one.ablation for one in small.members]
    for limits, timed in (
        (at.timing, ["timing other"]),
        (NO_LIMITS, ["timing small", "timing other"]),
    ):
        suite = make_suite(specs, place=at.place, data_root=None, timing=limits)
        tasks = suite_tasks(priced(suite, tmp_path, UserRates(every=4.0)), 1, 1.0)
        assert tasks is not None
        times = [task for task in tasks if task.key.startswith("timing")]
        assert [task.key for task in times] == timed
        # 300 s of the file at most, or as long as the command allows.
        assert {task.seconds for task in times} == {limits.max_seconds or 300}


def test_an_unknown_rate_stays_unknown_with_a_remedy(small: Suite, tmp_path: Path) -> None:
    cost = priced(small, tmp_path, UserRates())
    assert cost.shared is None
    assert suite_tasks(cost, 1, 1.0) is None
    schedule = scale_suite(cost, [8], devices=1, efficiency=None)
    text = "\n".join(suite_lines(cost, [schedule], price=None))
    assert "give --images-per-second" in text
    assert "unknown: not every arm's rate of training is known" in text
    facts = json.loads(json.dumps(suite_facts(cost, [schedule], price=2.0)))
    assert facts["device_seconds"] == {"unshared": None, "shared_within": None, "shared": None}
    assert facts["schedules"][0]["at"] == []
    assert facts["price"] is None


def test_what_has_been_trained_is_not_scheduled(small: Suite, tmp_path: Path) -> None:
    at = context(tmp_path / "work")
    run = small.members[0].units[0].run
    at.place.weights(run).parent.mkdir(parents=True)
    at.place.weights(run).touch()
    specs = [member.ablation for member in small.members]
    again = make_suite(specs, place=at.place, data_root=None)
    assert again.trained == {run.train_digest}
    tasks = suite_tasks(priced(again, tmp_path, UserRates(every=4.0)), 1, 1.0)
    assert tasks is not None
    assert run.train_digest not in {task.key for task in tasks}


def test_a_rate_of_a_preset_goes_before_that_of_all_and_is_scaled_by_area(tmp_path: Path) -> None:
    """r101 at 550 px trains at 45 images/s as given; at 700 px at 45 · (550 / 700)²."""
    at = context(tmp_path / "work")
    specs = [load(FOLDER / name) for name in ("image_size.yaml", "backbone.yaml")]
    suite = make_suite(specs, place=at.place, data_root=tmp_path)
    given = parse_rates(["20", "yolact_r101=45"])
    rates = Throughput(at.place, given, device="none")
    found = {unit.arm: rates.training(unit.run) for unit in suite.units}
    by_arm = {arm: rate.per_second for arm, rate in found.items() if rate is not None}
    sizes = {unit.arm: unit.run.image_size for unit in suite.members[0].units}
    for arm, size in sizes.items():
        assert by_arm[arm] == pytest.approx(45 * (550 / size) ** 2)
    assert by_arm["resnet50"] == by_arm["darknet53"] == 20
    plus = resolve_run(preset("yolact_plus_r101"), data_root=None, data=False)[0]
    rate = rates.training(plus)  # the same backbone in another network
    assert rate is not None and rate.text == "20 images/s as given"


@pytest.mark.parametrize("word", ["fast", "yolact_r999=3", "0", "yolact_r101=-1", "nan"])
def test_an_invalid_rate_is_refused(word: str) -> None:
    with pytest.raises(SpecError, match="images-per-second"):
        parse_rates([word])


def test_rates_come_from_a_file_too_and_words_go_before_it(tmp_path: Path) -> None:
    file = tmp_path / "rates.yaml"
    file.write_text("every: 20\npresets: {yolact_r101: 45}\nevaluation: 30\n")
    expected = UserRates(every=25.0, by_preset={"yolact_r101": 45}, evaluation=30)
    assert parse_rates(["25"], file=file) == expected
    file.write_text("every: fast\n")
    with pytest.raises(SpecError, match=r"rates.yaml:1: every: expected a number from 1e-09 to "):
        parse_rates([], file=file)


def test_all_ablations_plan_without_their_data_in_lines_of_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = sorted(str(file) for file in FOLDER.glob("*.yaml"))
    words = ("--images-per-second", "50", "--devices", "8", "--work-dir", str(tmp_path / "work"))
    options = (*words, "--data-root", str(tmp_path), "--price-per-hour", "2.5")
    assert called("plan", *specs, *options, monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 110
    assert "nms, matrix: also nms.decay gaussian (baseline unset), " in text
    assert "nms, matrix: keeps nms.top_k 200 (its own: 500)\n" in text
    assert "left out, synthetic data: aa, quickstart, shapes" in text
    assert "not on this machine: coco, sbd" in text
    assert called("plan", *specs, *options, "--json", monkeypatch=monkeypatch) == 0
    facts = json.loads(capsys.readouterr().out)
    seconds = facts["device_seconds"]
    assert facts["price"] == pytest.approx(seconds["shared"] / 3600 * 2.5)
    assert seconds["shared"] < seconds["shared_within"] < seconds["unshared"]
    assert sum(row["new_trainings"] for row in facts["ablations"]) == facts["trainings"]
    assert [one["devices"] for one in facts["schedules"][0]["at"]] == [8, 64, 512]
    for one in (at for schedule in facts["schedules"] for at in schedule["at"]):
        least = max(one["critical_path_seconds"], one["device_seconds"] / one["devices"])
        assert one["seconds"] >= least


def test_absent_data_sets_are_distinguished_by_name(tmp_path: Path) -> None:
    """Runs on coco and on sbd share nothing, and nms finds the training of backbone's resnet101."""
    at = context(tmp_path / "work")
    names = ("backbone.yaml", "nms.yaml", "sbd.yaml")
    specs = [load(FOLDER / name) for name in names]
    suite = make_suite(specs, place=at.place, data_root=tmp_path)
    assert suite.absent == ("coco", "sbd")
    assert [len(suite.new_trainings(one)) for one in suite.members] == [9, 0, 15]
    assert not suite.members[1].trainings - suite.members[0].trainings


def test_one_ablation_is_planned_at_a_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two trainings of 6 images at 4 images/s side by side, then at most 300 s of rounds."""
    words = ("plan", str(write_spec(tmp_path)), "--work-dir", str(tmp_path / "work"))
    options = ("--images-per-second", "4", "--slots", "2")
    assert called(*words, *options, "--json", monkeypatch=monkeypatch) == 0
    (at,) = json.loads(capsys.readouterr().out)["schedule"]["at"]
    assert at["devices"] == 2
    assert at["seconds"] == SECONDS + 300
    assert at["device_seconds"] == 2 * SECONDS + 300
    assert at["idle_device_seconds"] == 300
    assert called(*words, *options, "--devices", "2", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert "2 devices per training" in text
    assert "assumes an ideal speed-up; give --scaling-efficiency" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--gpus", "many"),
            "--gpus 8,64,…: expected a whole number from 1 to 100,000, got 'many'",
        ),
        (("--gpus", "4", "--devices", "8"), "4 devices cannot hold one training on 8"),
        (("--gpus", "8,1_0"), "expected a whole number from 1 to 100,000, got '1_0'"),
        (("--gpus", ",".join("8" * 21)), "21 numbers; write at most 20"),
        (("--gpus", "8", "--slots", "2"), "apply to a single SPEC"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    assert called("plan", str(write_spec(tmp_path)), *options, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err
