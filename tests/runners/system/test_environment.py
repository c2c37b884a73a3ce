"""Where numbers come from, and what the doctor finds on this machine."""

import subprocess
from pathlib import Path

import pytest
import torch

from runners.cli import doctor
from runners.cli.doctor import Check, diagnose
from runners.system import environment as module
from runners.system.environment import cpu_name, environment, source_commit
from runners.tracking.storage_checks import file_system
from yolact_bench.runtime import compiler


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "runners").mkdir()
    (tmp_path / "runners" / "a.py").write_text("1\n")
    (tmp_path / "README.md").write_text("1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "--no-verify", "-m", "first")
    return tmp_path


def test_a_clean_tree_gives_its_commit(repository: Path) -> None:
    assert source_commit(repository) == (git(repository, "rev-parse", "HEAD"), False)


def test_changed_or_new_source_makes_the_tree_dirty_and_a_changed_readme_does_not(
    repository: Path,
) -> None:
    (repository / "README.md").write_text("2\n")
    assert source_commit(repository)[1] is False
    (repository / "runners" / "b.py").write_text("1\n")
    assert source_commit(repository)[1] is True


def test_a_folder_below_another_repository_has_no_commit(repository: Path) -> None:
    assert source_commit(repository / "runners") == ("unknown", False)


def test_without_git_the_commit_is_unknown(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert source_commit(repository) == ("unknown", False)


def test_git_variables_of_a_hook_do_not_lead_to_another_repository(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(repository / "elsewhere"))
    assert source_commit(repository) == (commit, False)


def test_the_environment_of_a_cpu_names_processor_threads_and_versions() -> None:
    here = environment("cpu")
    assert here.device == f"{cpu_name()} (CPU)"
    assert (here.device_type, here.driver) == ("cpu", "")
    assert here.threads == torch.get_num_threads()
    assert torch.__version__.startswith(here.versions["torch"].split("+")[0])
    assert {"python", "torchvision", "numpy", "pycocotools"} <= set(here.versions)


def test_a_gpu_without_an_answer_of_its_driver_has_an_unknown_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pynvml

    def fails() -> None:
        raise pynvml.NVMLError_LibraryNotFound

    monkeypatch.setattr(pynvml, "nvmlInit", fails)
    assert module.gpu_driver() == "unknown"


def states(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def test_the_doctor_looks_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    checks = diagnose(tmp_path / "work", None)
    assert states(checks)["operators on cpu"] == "ok"
    assert states(checks)["work directory"] == "ok"
    assert states(checks)["compiler for cpu"] == "ok"
    assert "torch >=2" in {check.name: check.detail for check in checks}["versions"]
    assert states(checks)["MLflow store"] == "ok"
    assert all(check.remedy for check in checks if check.state != "ok")
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_says_from_where_a_gpus_kernels_are_launched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From C++, or from Python, which is slower and no reason to install anything."""

    def probe(device: str = "cpu", *, cpp_launches: bool = False) -> str:
        return "no header" if cpp_launches and device == "cuda" else ""

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(compiler, "compiler_probe", probe)
    *others, launches = doctor._compiler()
    assert states(others) == {"compiler for cpu": "ok", "compiler for cuda": "ok"}
    assert (launches.state, launches.detail) == ("warn", "no header")
    assert "from Python" in launches.remedy


def test_the_doctor_names_what_a_data_root_lacks(tmp_path: Path) -> None:
    (tmp_path / "train2017").mkdir()
    coco = {check.name: check for check in diagnose(tmp_path, tmp_path)}["COCO data"]
    assert coco.state == "warn"
    assert "missing val2017, annotations/instances_train2017.json" in coco.detail
    for name in ("val2017", "annotations"):
        (tmp_path / name).mkdir()
    for split in ("train", "val"):
        (tmp_path / "annotations" / f"instances_{split}2017.json").write_text("{}")
    assert states(diagnose(tmp_path, tmp_path))["COCO data"] == "ok"


@pytest.mark.parametrize("broken", ["http://127.0.0.1:9", "a damaged file"])
def test_a_tracking_store_out_of_reach_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if broken.startswith("http"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", broken)
    else:
        (tmp_path / "mlflow.db").write_text("no database " * 100)
    assert states(diagnose(tmp_path, None))["MLflow store"] == "warn"


def test_a_check_that_breaks_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks() -> str:
        raise RuntimeError("libc10 is missing")

    monkeypatch.setattr(doctor, "cpu_name", breaks)
    cpu = {check.name: check for check in diagnose(tmp_path, None)}["CPU"]
    assert (cpu.state, cpu.detail) == ("fail", "RuntimeError: libc10 is missing")


def test_the_file_system_is_that_of_the_longest_mount_and_the_last_of_equals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mounts = (
        "a / ext4 rw 0 0\nb /data nfs4 rw 0 0\nc /data/fast ext4 rw 0 0\nd /data/fast xfs rw 0 0\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: mounts)
    assert file_system(Path("/data/x")) == "nfs4"
    assert file_system(Path("/data/fast/y")) == "xfs"
    assert file_system(Path("/database")) == "ext4"
