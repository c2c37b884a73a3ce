"""A JSON file that the user names, read whole."""

import json
from pathlib import Path
from typing import Any

from yolact_bench.errors import SpecError

_REMEDY = "correct it there, or name another file"


def read_json(path: Path, *, remedy: str = _REMEDY) -> Any:  # noqa: ANN401
    """Return the content of a JSON file.

    Raises:
        SpecError: unreadable, or not JSON (with line and column); the message ends in `remedy`.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        raise SpecError(f"{place}: not JSON ({error.msg}); {remedy}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not JSON (not a text in UTF-8); {remedy}") from error
    except ValueError as error:  # a number of too many digits
        raise SpecError(f"{path}: not JSON ({error}); {remedy}") from error
