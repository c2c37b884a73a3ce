"""Whether other machines can work with this one: the same work directory, code and packages."""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runners.system.environment import SOURCE_TREE, package_versions, source_commit
from runners.workdir.lock import unwritable
from yolact_bench.results.files import write_atomically

_SOURCES = ("yolact_bench", "runners")
_SECONDS_TO_APPEAR = 10.0  # network file systems show a new file with a delay


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A folder in the work directory whose secret only machines that share it can read."""

    folder: Path
    secret: str
    source: str  # a hash of the code
    commit: str
    packages: Mapping[str, str]  # versions

    @property
    def work_dir(self) -> Path:
        """The work directory, as all machines have to see it."""
        return self.folder.parent


def put_mark(work_dir: Path) -> Mark:
    """Leave a mark in the work directory, for other machines to find.

    Raises:
        SpecError: the folder is not writable.
    """
    work_dir = work_dir.absolute()
    # Called as what `gc` removes when its process was killed.
    mark = Mark(
        folder=work_dir / f".shared.{secrets.token_hex(4)}.tmp",
        secret=secrets.token_hex(16),
        source=source_hash(),
        commit=source_commit()[0],
        packages=package_versions(),
    )
    try:
        write_atomically(mark.folder / "secret", mark.secret)
    except OSError as error:
        raise unwritable(work_dir, error) from error
    return mark


def objection(mark: Mark, *, node: str) -> str | None:
    """Return why this machine must not take part, as text; leave an answer, named after `node`.

    Called on each of the other machines: a result must not depend on which one an arm ran on.
    """
    if not appears(mark.folder / "secret"):
        return (
            f"does not see {mark.work_dir}; put the work directory on storage that all machines "
            "mount at the same path, and name it with --work-dir"
        )
    if (mark.folder / "secret").read_text(encoding="utf-8") != mark.secret:
        return f"sees another folder at {mark.work_dir}; mount the same storage on all machines"
    try:
        write_atomically(mark.folder / node, "")
    except OSError as error:
        return f"cannot write in {mark.work_dir} ({error.strerror}); check its owner and its quota"
    return _other_code(mark)


def source_hash(tree: Path = SOURCE_TREE) -> str:
    """Return a hash of the code that decides results; uncommitted changes count."""
    digest = hashlib.sha256()
    for path in sorted(p for folder in _SOURCES for p in (tree / folder).rglob("*.py")):
        digest.update(path.relative_to(tree).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _other_code(mark: Mark) -> str | None:
    mine = package_versions()
    differing = [
        f"{name} {mine.get(name, 'missing')} (here {version})"
        for name, version in mark.packages.items()
        if mine.get(name) != version
    ]
    if differing:
        return f"has {', '.join(differing)}; install the same versions on all machines"
    if source_hash() != mark.source:
        return (
            f"has other code in {SOURCE_TREE} (commit {source_commit()[0][:10]}; here "
            f"{mark.commit[:10]}); update it, or keep one copy on shared storage"
        )
    return None


def appears(path: Path) -> bool:
    """Return whether a file of another machine can be seen here, after a while."""
    deadline = time.monotonic() + _SECONDS_TO_APPEAR
    while not path.exists():
        if time.monotonic() > deadline or not path.parent.parent.is_dir():
            return False
        with contextlib.suppress(OSError):
            list(path.parent.iterdir())  # has a network file system look again
        time.sleep(0.2)
    return True
