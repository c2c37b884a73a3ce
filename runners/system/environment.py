"""Where a number comes from: source tree, device, driver, versions. Reads, never changes."""

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from yolact_bench.results.record import Environment
from yolact_bench.slots import outside_entries

SOURCE_TREE = Path(__file__).resolve().parents[2]
# What decides a number. A README or a spec that changed does not make its numbers doubtful.
_SOURCE_PATHS = ("yolact_bench", "runners", "reports", "pyproject.toml")
_PACKAGES = ("torch", "torchvision", "numpy", "pycocotools", "opencv-python-headless")


def environment(device: str) -> Environment:
    """Return where a number measured on `device` ("cpu", "cuda", "cuda:1") comes from."""
    # Imported here: a command that measures nothing starts without loading torch.
    import torch

    commit, dirty = source_commit()
    on_gpu = device.startswith("cuda")
    versions = package_versions()
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
    return Environment(
        commit=commit,
        dirty=dirty,
        device=device_name(device),
        device_type="cuda" if on_gpu else "cpu",
        threads=torch.get_num_threads(),
        driver=gpu_driver() if on_gpu else "",
        os=f"{platform.system()} {platform.release()}",
        versions=versions,
    )


def device_name(device: str) -> str:
    """Return the name under which numbers measured on `device` are kept."""
    import torch

    on_gpu = device.startswith("cuda")
    return torch.cuda.get_device_name(device) if on_gpu else f"{cpu_name()} (CPU)"


def source_commit(tree: Path = SOURCE_TREE) -> tuple[str, bool]:
    """Return the commit of the source tree and whether the source differs from it.

    ("unknown", False) without git, and where the tree is not the top of a repository: a package
    installed below another repository must not borrow its commit.
    """
    top = _git(tree, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != tree.resolve():
        return "unknown", False
    commit = _git(tree, "rev-parse", "HEAD")
    changes = _git(tree, "status", "--porcelain", "--", *_SOURCE_PATHS)
    if commit is None or changes is None:
        return "unknown", False
    return commit, bool(changes)


def cpu_name() -> str:
    """Return the CPU's model name, or its architecture where the system hides the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(":") for line in lines)
    names = (value.strip() for key, _, value in pairs if key.strip() == "model name")
    return next(filter(None, names), "") or platform.processor() or platform.machine() or "unknown"


def gpu_driver() -> str:
    """Return the version of the GPU driver, or "unknown" where NVML is not available."""
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            return str(pynvml.nvmlSystemGetDriverVersion())
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return "unknown"


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    components = {entry.dist.name for entry in outside_entries() if entry.dist}
    packages = (*_PACKAGES, *sorted(components))
    installed = {package: _installed_version(package) for package in packages}
    versions = {"python": platform.python_version(), **installed}
    return {package: number for package, number in versions.items() if number}


def supported_versions() -> dict[str, str]:
    """Return package → range, such as ">=2.11,<2.16", of packages that have an upper bound."""
    return {
        requirement.name: ",".join(sorted(map(str, requirement.specifier), reverse=True))
        for requirement in map(Requirement, requires("yolact-bench") or ())
        if "<" in str(requirement.specifier)
    }


def unsupported_packages() -> dict[str, str]:
    """Return package → installed version, of packages outside the range that was tested."""
    return {
        requirement.name: installed
        for requirement in map(Requirement, requires("yolact-bench") or ())
        if (installed := _installed_version(requirement.name))
        and not requirement.specifier.contains(installed, prereleases=True)
    }


def _installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git(tree: Path, *arguments: str) -> str | None:
    """Return git's answer, or None where there is no git or no repository."""
    # Inside a git hook GIT_DIR and its kin name the hook's repository, not this tree's.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(tree), *arguments]
    try:
        answer = subprocess.run(
            command, env=inherited, capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def now() -> str:
    """Return the time, ISO 8601 in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def nearest_folder(path: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    place = path.resolve()
    while not place.is_dir():
        place = place.parent
    return place
