"""The two ways in which a run may stop: a mistake, with hints what to write, or a failed arm."""

import difflib
from collections.abc import Collection, Sequence

_LONGEST = 300
MOST_NAMED, _FEWEST_NAMED = 24, 3  # words in a message


def first_line(error: BaseException) -> str:
    """Return the beginning of an error's message, which may hold many lines; or its type."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:_LONGEST].rstrip(".")


class SpecError(ValueError):
    """A mistake in what the user wrote or supplied. Says where, what, and what to write instead.

    The command line prints it without a traceback and exits with code 2.
    """


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
