"""The two ways in which a run may stop: a mistake, with hints what to write, or a failed arm.

One file: what mistakes are, how several become one message, and the words that messages share.
"""

import difflib
import errno
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

_LONGEST, _LONGEST_VALUE = 300, 120
MOST_MISTAKES = 20  # in a message
_NEXT = "\n  "  # before each of several
_PLACE = re.compile(r"([^\n:]*)(?::(\d+))?: ")
MOST_NAMED, _FEWEST_NAMED = 24, 3  # words in a message


def first_line(error: BaseException) -> str:
    """Return the beginning of an error's message, which may hold many lines; or its type."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:_LONGEST].rstrip(".")


# What a system call on a file may meet, and the remedy; other errors are mistakes of ours unless
# they name a file.
_REMEDIES = {
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.EROFS: "mount its disk for writing, or name another place",
    errno.ENOSPC: "free some space (`yolact-bench gc` lists what nothing needs)",
    errno.EDQUOT: "free some space (`yolact-bench gc` lists what nothing needs)",
    errno.ENAMETOOLONG: "shorten the name or the path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close programs that hold many files open",
    errno.EIO: "check its disk",
    errno.ESTALE: "mount its disk again",
    errno.EFBIG: "name a place on a file system for large files",
}


def file_fault(error: BaseException) -> str | None:
    """Return what the system refused, on which file and what helps; None if that is not it."""
    if not isinstance(error, OSError) or error.errno is None:
        return None
    file = error.filename
    if not isinstance(file, str | bytes | os.PathLike) and error.errno not in _REMEDIES:
        return None
    place = os.fsdecode(file) if isinstance(file, str | bytes | os.PathLike) else "a file"
    name = place if len(place) <= _LONGEST else f"{place[:_LONGEST]}…"
    remedy = _REMEDIES.get(error.errno, "correct that")
    reason = error.strerror or os.strerror(error.errno)
    return f"{name}: cannot be read or written ({reason}); {remedy}, then run the command again"


class SpecError(ValueError):
    """A mistake in what the user wrote or supplied. Says where, what, and what to write instead.

    The command line prints it without a traceback and exits with code 2.
    """

    parts: tuple["SpecError", ...] = ()  # the mistakes, where it is several

    def at(self, place: object) -> "SpecError":
        """Return the same with a place before it, or before each that it is made of."""
        return join_mistakes([type(one)(f"{place}: {one}") for one in self.parts or (self,)])


class Mistakes:
    """Collects the mistakes in a file, so that one message has them all."""

    def __init__(self, place: object = "") -> None:
        self._place = f"{place}: " if place else ""
        self._texts: list[str] = []
        self.count = 0

    def add(self, text: str) -> None:
        """Add one, with its place in the file."""
        self.count += 1
        if len(self._texts) < MOST_MISTAKES:
            self._texts.append(text)

    def text(self) -> str:
        """Return one as it is; of more at most 20, and the number of the rest."""
        if self.count == 1:
            return f"{self._place}{self._texts[0]}"
        rest = self.count - len(self._texts)
        lines = [f"{self._place}{self.count} mistakes", *self._texts]
        return _NEXT.join([*lines, f"and {rest} more"] if rest else lines)

    def raise_any(self) -> None:
        """Return if there are none.

        Raises:
            SpecError: there are; as `text` says.
        """
        if self.count:
            raise SpecError(self.text())


class Faults:
    """Collects the mistakes of parts that are read one by one, so that one message has them all."""

    def __init__(self) -> None:
        self._errors: dict[str, SpecError] = {}
        self.count = 0  # repeated ones too

    def __bool__(self) -> bool:
        return bool(self._errors)

    def add(self, error: SpecError) -> None:
        """Add one, or all that it is made of; what is there already is not repeated."""
        for one in error.parts or (error,):
            self._errors.setdefault(str(one), one.with_traceback(None))
            self.count += 1

    @contextmanager
    def part(self) -> Iterator[None]:
        """Go on behind the block where it raises a SpecError."""
        try:
            yield
        except SpecError as error:
            self.add(error)

    def read_each(self, readers: Mapping[str, Callable[[], object]]) -> dict[str, Any]:
        """Return the values by name, without those that cannot be read."""
        values: dict[str, object] = {}
        for name, read in readers.items():
            with self.part():
                values[name] = read()
        return values

    def raise_any(self) -> None:
        """Return if there are none.

        Raises:
            SpecError: there are; in the order of files and lines, as by `join_mistakes`.
        """
        if self._errors:
            files = dict[str, int]()
            keys = {text: _place(text, files) for text in self._errors}
            raise join_mistakes([self._errors[text] for text in sorted(keys, key=keys.__getitem__)])


def _place(text: str, files: dict[str, int]) -> tuple[int, int]:
    """Return the number of the file that a message begins with, as it comes, and the line."""
    match = _PLACE.match(text)
    file, line = match.groups() if match else ("", None)
    return files.setdefault(file, len(files)), int(line or 0)


def join_mistakes(errors: Sequence[SpecError]) -> SpecError:
    """Return one error with the mistakes of several parts or files, at most 20 of all by name."""
    if len(errors) == 1:
        return errors[0]
    parts = {str(part): part for one in errors for part in one.parts or (one,)}
    kinds = {type(one) for one in parts.values()}
    kind = kinds.pop() if len(kinds) == 1 else SpecError
    joined = kind(_several([*parts]))
    joined.parts = tuple(parts.values())
    return joined


def _several(texts: Sequence[str]) -> str:
    """Return one text of several, of which some may have a line for each mistake in a file."""
    if not any("\n" in text for text in texts):
        mistakes = Mistakes()
        for text in texts:
            mistakes.add(text)
        return mistakes.text()
    room, blocks = MOST_MISTAKES, list[str]()
    for text in texts:
        head, *lines = text.split(_NEXT)
        more = re.fullmatch(r"and (\d+) more", lines[-1]) if lines else None
        named = lines[:-1] if more else lines
        shown = named[: max(room, 0)]
        rest = len(named) - len(shown) + (int(more[1]) if more else 0)
        blocks.append(_NEXT.join([head, *shown, *([f"and {rest} more"] if rest else [])]))
        room -= len(shown) if lines else 1
    left = blocks[MOST_MISTAKES:]
    return "\n".join([*blocks[:MOST_MISTAKES], *([f"and {len(left)} more"] if left else [])])


class MissingDataError(SpecError):
    """Data that a spec names is not on this machine. The spec itself may be right."""


class ArmError(RuntimeError):
    """An arm that cannot go on (non-finite loss, unreadable image). Becomes a `Failure` record.

    `kind` is a short machine-readable reason, such as "non_finite_loss" or "bad_image".
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type["ArmError"], tuple[str, str]]:
        """Return how to rebuild the error in another process, with its kind."""
        return ArmError, (self.kind, str(self))


def brief(value: object) -> str:
    """Return a value for a message: as Python writes it, long ones without their middle."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE // 2]} … {text[-20:]}"


def hint(word: str, known: Collection[str]) -> str:
    """Return " (did you mean ...?); available: ..." for an unknown `word`."""
    near = nearest(word, known)
    guess = f" (did you mean {brief(near)}?)" if near else ""
    return f"{guess}; available: {word_list(sorted(known))}"


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that is most like another, None where none is."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)), None)


def word_list(words: Sequence[str], *, most: int = MOST_NAMED) -> str:
    """Return words for a message, the first of them if there are more than `most`."""
    words = [one if len(one) <= _LONGEST_VALUE else f"{one[:_LONGEST_VALUE]}…" for one in words]
    if len(words) <= most:
        return ", ".join(words) or "nothing"
    return f"{', '.join(words[: max(_FEWEST_NAMED, most // 2)])}, … ({len(words)} in all)"
