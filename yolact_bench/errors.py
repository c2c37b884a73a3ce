"""The two ways in which a run may stop: a mistake, with hints what to write, or a failed arm."""

import difflib
import errno
import os
import re
from collections.abc import Collection, Sequence

_LONGEST, _LONGEST_VALUE = 300, 120
MOST_MISTAKES = 20  # in a message
_NEXT = "\n  "  # before each of several
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


class Mistakes:
    """Collects the mistakes in a file, so that one message has them all."""

    def __init__(self, place: object) -> None:
        self._place = place
        self._texts: list[str] = []
        self.count = 0

    def add(self, text: str) -> None:
        """Add one, with its place in the file."""
        self.count += 1
        if len(self._texts) < MOST_MISTAKES:
            self._texts.append(text)

    def raise_any(self) -> None:
        """Return if there are none.

        Raises:
            SpecError: there are; the message has at most 20 of them and the number of the rest.
        """
        if self.count == 1:
            raise SpecError(f"{self._place}: {self._texts[0]}")
        if self.count:
            rest = self.count - len(self._texts)
            lines = [f"{self._place}: {self.count} mistakes", *self._texts]
            raise SpecError(_NEXT.join([*lines, f"and {rest} more"] if rest else lines))


def join_mistakes(errors: Sequence[SpecError]) -> SpecError:
    """Return one error with the mistakes of several files, of all at most 20 by name."""
    if len(errors) == 1:
        return errors[0]
    room, blocks = MOST_MISTAKES, list[str]()
    for error in errors:
        head, *lines = str(error).split(_NEXT)
        more = re.fullmatch(r"and (\d+) more", lines[-1]) if lines else None
        texts = lines[:-1] if more else lines
        shown = texts[: max(room, 0)]
        rest = len(texts) - len(shown) + (int(more[1]) if more else 0)
        blocks.append(_NEXT.join([head, *shown, *([f"and {rest} more"] if rest else [])]))
        room -= len(shown) if lines else 1
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else SpecError
    left = blocks[MOST_MISTAKES:]
    return kind("\n".join([*blocks[:MOST_MISTAKES], *([f"and {len(left)} more"] if left else [])]))


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
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{guess}; available: {word_list(sorted(known))}"


def word_list(words: Sequence[str], *, most: int = MOST_NAMED) -> str:
    """Return words for a message, the first of them if there are more than `most`."""
    if len(words) <= most:
        return ", ".join(words) or "nothing"
    return f"{', '.join(words[: max(_FEWEST_NAMED, most // 2)])}, … ({len(words)} in all)"
