"""The two ways in which a run may stop: the user's mistake, or an arm that failed midway."""

_LONGEST = 300


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
