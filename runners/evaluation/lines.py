"""Lines of COCO's result files."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from runners.evaluation.coco.index import Entry


class Lines(NamedTuple):
    """The entries of one image in both result files, without what stands around them."""

    boxes: str
    masks: str
    length: int  # how many entries in either


def as_lines(of_file: Iterable[Entry]) -> str:
    """Return entries of a result file as JSON, one a line."""
    return ",\n".join(
        json.dumps(entry, separators=(",", ":"), allow_nan=False) for entry in of_file
    )
