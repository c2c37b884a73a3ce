"""Exit codes, and which of them an exception means."""

import typer

USAGE, FAILED_ARMS, UNMET, INVALID, INTERRUPTED = 2, 3, 4, 5, 130


def exit_code_of(error: Exception) -> int:
    """Tell a user's mistake in one message and return its exit code; raise anything else."""
    from yolact_bench.errors import ArmError, SpecError

    show = getattr(error, "show", None)  # of click's errors: typer may bring its own click
    if callable(show):
        show()
    elif isinstance(error, SpecError):
        typer.echo(f"error: {error}", err=True)
    elif isinstance(error, ArmError):
        typer.echo(f"failed ({error.kind}): {error}", err=True)
        return FAILED_ARMS
    else:
        raise error
    return USAGE
