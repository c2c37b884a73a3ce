"""The command line: start-up, exit codes, messages, and what it must not import."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runners.cli import main as cli
from tests.support.built_reports import leave_out_figures
from tests.support.small_ablation import SPEC, context, run_spec, write_spec
from yolact_bench.errors import SpecError


def exit_code(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    leave_out_figures(monkeypatch)
    monkeypatch.setattr(sys, "argv", ["yolact-bench", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    code = stopped.value.code
    return int(code) if code else 0


def on_the_cpu(work: Path) -> tuple[str, ...]:
    return ("--work-dir", str(work), "--device", "cpu")


def python(program: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", program]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work directory with the small ablation in it."""
    folder = tmp_path_factory.mktemp("cli")
    run_spec(write_spec(folder), context(folder / "work"))
    return folder / "work"


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["list", "presets"],
        ["list", "runs"],
        ["list", "sweeps"],
        ["report", "small"],
    ],
)
def test_commands_that_only_print_load_no_torch(words: list[str], work: Path) -> None:
    place = ["--work-dir", str(work)] if words[0] in {"list", "report"} else []
    program = (
        "import sys\n"
        f"sys.argv = ['yolact-bench', *{[*words, *place]!r}]\n"
        "from runners.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'mlflow', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = python(program)
    assert done.returncode == 0, done.stderr


def test_help_starts_at_once() -> None:
    """Under 0.2 s is the promise; that nothing slow to import is loaded is what keeps it."""
    slow = ("pydantic", "numpy", "pandas")
    program = f"import sys; import runners.cli.main; print(set({slow!r}) & set(sys.modules))"
    assert python(program).stdout.strip() == "set()"


def test_a_plan_is_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(write_spec(tmp_path))
    words = ("plan", spec, "--json", "--work-dir", str(tmp_path / "work"))
    assert exit_code(*words, monkeypatch=monkeypatch) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["trainings"] == 2
    assert [u["shares"] for u in facts["units"]] == [None, None, "k_4"]
    assert not (tmp_path / "work").exists()


def test_a_finished_ablation_runs_again_in_an_instant_and_prints_its_table(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (work / "results.jsonl").read_bytes()
    words = ("run", str(work.parent / "small.yaml"), "--rounds", "2", *on_the_cpu(work))
    assert exit_code(*words, monkeypatch=monkeypatch) == 0
    assert "k_4" in capsys.readouterr().out
    assert (work / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize(("options", "timed"), [(("--rounds", "2"), True), ((), False)])
def test_a_plan_is_of_the_rounds_that_run_is_given(
    options: tuple[str, ...],
    timed: bool,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two rounds have been timed, which without a limit would be too few."""
    words = ("plan", str(work.parent / "small.yaml"), *options, "--json", *on_the_cpu(work))
    assert exit_code(*words, monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["timed"] == timed


def test_an_unmet_expectation_is_exit_code_4(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SPEC + 'expect: ["mask_ap[k_4] >= 99"]\n'
    spec = write_spec(work.parent, text)
    words = ("run", str(spec), "--rounds", "2", *on_the_cpu(work))
    assert exit_code(*words, monkeypatch=monkeypatch) == 4
    write_spec(work.parent)


def test_a_failed_arm_is_exit_code_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "  k_4: {protonet.k: 4, schedule.lr: 1.0e+6}\n"
    spec = write_spec(
        tmp_path, SPEC.replace("  k_4: {protonet.k: 4, schedule.lr: 0.001}\n", failing)
    )
    words = ("run", str(spec), "--only", "k_4", "--rounds", "2", *on_the_cpu(tmp_path / "work"))
    assert exit_code(*words, "--workers", "0", monkeypatch=monkeypatch) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "{tmp}/none.yaml"], "there is no such file"),
        (["run", "{spec}", "--set", "protonet.kk=3"], "did you mean 'k'"),
        (["run", "{spec}", "--set", "protonet.k"], "write path=value"),
        (["run", "{spec_with_paper}"], "did you mean 'yolact_plus.dcn'"),
        (["check", "{spec_with_paper}"], "did you mean 'yolact_plus.dcn'"),
        (["run", "{spec}", "--set", "dataset=cocoo"], "did you mean 'coco'"),
        (["run", "{spec}", "--only", "k_44"], "did you mean 'k_4'"),
        (["run", "{spec}", "--device", "cuda:99"], "--device cpu"),
        (["run", "{spec}", "--device", "meta"], "'meta': write cpu, cuda or cuda:N"),
        (["run", "{spec}", "--device", ""], "'': write cpu, cuda or cuda:N"),
        (["run", "{spec}", "--device", "cpu", "--address", "h:1"], "only --executor ray has one"),
        (["run", "{spec}", "--scoring", "vectorized"], "did you mean 'vectorised'"),
        (["train", "yolact_tinny"], "did you mean 'yolact_tiny'"),
        (["train", "yolact_tiny", "--dataset", "cocoo"], "did you mean 'coco'"),
        (["train", "yolact_tiny", "--dataset", "{tmp}/d.yaml"], "d.yaml"),
        (["train", "yolact_tiny", "--dataset", "coco"], "YOLACT_DATA"),
        (["evaluate", "yolact_tiny", "--weights", "{tmp}/no.pt"], "no such file"),
        (["latency", "yolact_tiny", "yolact_r50", "--weights", "a.pt"], "time them one by one"),
        (["report", "smal"], "no ablation or sweep named 'smal'"),
        (["list", "component"], "did you mean 'components'"),
        (["predict", "{tmp}/no.jpg", "--weights", "{tmp}/no.pt"], "no such image"),
        (["data", "check", "{tmp}/d.yaml"], "d.yaml"),
        (["runn"], "No such command"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("YOLACT_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    spec = write_spec(tmp_path)
    paper = tmp_path / "paper.yaml"
    paper.write_text(SPEC + "paper: yolact_plus.dcm\n")
    places = {"tmp": tmp_path, "spec": spec, "spec_with_paper": paper}
    words = [word.format(**places) for word in words]
    assert exit_code(*words, monkeypatch=monkeypatch) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert "Traceback" not in output.err
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("command", ["run", "plan", "check", "sweep"])
def test_a_missing_spec_is_reported_before_torch_is_loaded(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in ("runners.cli.specs", "runners.cli.workplace"):  # both import torch
        monkeypatch.setitem(sys.modules, module, None)
    spec = write_spec(tmp_path)
    missing = spec.with_name(f"x{spec.name}")
    assert exit_code(command, str(missing), monkeypatch=monkeypatch) == 2
    assert f"did you mean {spec.name!r}" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_and_exit_code_130(tmp_path: Path) -> None:
    """The signal goes to the whole process group, loader workers included, as a terminal does."""
    words = ["train", "yolact_tiny", "--work-dir", str(tmp_path / "work"), "--workers", "1"]
    words += ["--set", "image_size=72", "--set", "schedule.batch_size=6", "--validate-every", "0"]
    words += ["--set", "precision=fp32"]  # bf16 takes minutes on a CPU that has none
    program = (
        f"import sys; sys.argv = ['yolact-bench', *{words!r}]\n"
        "from runners.cli.main import main; main()"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    log = tmp_path / "work" / "checkpoints"
    deadline = time.monotonic() + 240
    try:
        while not list(log.glob("*/log.jsonl")) and running.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        os.killpg(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=120)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 130, errors
    assert "the same command resumes where this one stopped" in errors
    assert len(list(log.glob("*/last.pt"))) == 1


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_under_torchrun_only_a_training_is_shared(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for word in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(word, "0")
    spec = write_spec(tmp_path)
    with pytest.raises(SpecError, match="without torchrun"):
        cli.app([command, str(spec), "--work-dir", str(tmp_path)], standalone_mode=False)
