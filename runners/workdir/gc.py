"""The command gc: what a work directory could do without, as text, as data, and removed."""

import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from runners.workdir.garbage import Garbage, Search
from runners.workdir.references import find_references
from yolact_bench.errors import SpecError
from yolact_bench.escape import one_line
from yolact_bench.text import size


def check(work_dir: Path) -> None:
    """Check that the work directory exists.

    Raises:
        SpecError: it does not.
    """
    if not work_dir.is_dir():
        raise SpecError(f"--work-dir {work_dir}: no such folder; write the one that `run` had")


def find(work_dir: Path, *, superseded: bool = False, now: float | None = None) -> Garbage:
    """Return what can be removed: nothing unknown, and nothing written in the last hour.

    A checkpoint or its predictions are needed while a manifest or a record refers to them. With
    `superseded` a record is not enough: work of arms that no manifest shows any more goes, too.

    Raises:
        SpecError: there is no such work directory, or its records cannot be read.
    """
    check(work_dir)
    search = Search(work_dir, find_references(work_dir, superseded=superseded), now or time.time())
    search.checkpoints()
    search.predictions()
    search.temporaries()
    search.unknown_entries()
    return Garbage(work_dir=work_dir, items=tuple(search.items), left=tuple(search.left))


def remove(garbage: Garbage) -> None:
    """Remove the items. A folder disappears whole: renamed first, then emptied."""
    for item in garbage.items:
        if item.path.is_dir():
            doomed = item.path.with_name(f".{item.path.name}.{secrets.token_hex(4)}.tmp")
            item.path.rename(doomed)
            shutil.rmtree(doomed)
        else:
            item.path.unlink(missing_ok=True)


def lines(garbage: Garbage, *, deleted: bool) -> Iterator[str]:
    """Yield the contents as text: sizes, reasons, what stays, and the total."""
    for item in garbage.items:
        yield f"{size(item.size):>12}  {one_line(_relative(item.path, garbage))}: {item.reason}"
    for left in garbage.left:
        yield f"{'left':>12}  {one_line(_relative(left.path, garbage))}: {left.reason}"
    done = "removed" if deleted else "can be removed; --delete does it"
    yield f"{size(garbage.size):>12}  in {len(garbage.items)} places {done}"


def facts(garbage: Garbage, *, deleted: bool) -> dict[str, object]:
    """Return the contents as plain data."""
    items = [{**asdict(item), "path": _relative(item.path, garbage)} for item in garbage.items]
    left = [{**asdict(one), "path": _relative(one.path, garbage)} for one in garbage.left]
    return {"bytes": garbage.size, "deleted": deleted, "items": items, "left": left}


def _relative(path: Path, garbage: Garbage) -> str:
    return str(path.relative_to(garbage.work_dir))
