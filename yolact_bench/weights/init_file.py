"""What the init slot of a run says of its weight file: content and classes."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

from yolact_bench.errors import MissingDataError, SpecError, word_list
from yolact_bench.file_hash import file_sha256
from yolact_bench.slots import Choice
from yolact_bench.weights.classes import stored_classes
from yolact_bench.weights.transfer import weights_in


def with_file(init: Choice) -> Choice:
    """Return the choice with what its weight file says; one without a file as it is.

    Its contents decide the result, where it lies does not.

    Raises:
        MissingDataError: the file is not there.
        SpecError: it is another one than was resolved before, or of other classes than are written.
    """
    if "sha256" not in init:
        return init
    path, where = weights_in(Path(str(init["file"]))), f"init.{init['name']}"
    if not path.is_file():
        raise MissingDataError(f"{where}.file: no file at {path}; write the path of one")
    sha256 = file_sha256(path)
    if init["sha256"] not in {"", sha256}:
        raise SpecError(
            f"{where}.sha256: {path} has {sha256}, not {init['sha256']}; put the "
            "file back that it was, or leave sha256 out"
        )
    if "classes" not in init:
        return {**init, "sha256": sha256}
    return {**init, "sha256": sha256, "classes": _classes_of(path, sha256, init["classes"], where)}


def _classes_of(path: Path, sha256: str, given: object, where: str) -> object:
    """Return the names of a file's classes, which it says itself or somebody has written."""
    stored = _stored_classes(path, sha256)
    if stored and given and given != stored:
        raise SpecError(
            f"{where}.classes: {word_list(cast(Sequence[str], given))}, but {path} has "
            f"{word_list(stored)}; leave classes out"
        )
    return stored or given


@lru_cache(maxsize=8)
def _stored_classes(path: Path, sha256: str) -> list[str]:
    classes = stored_classes(path)
    return [] if classes is None else list(classes.names)
