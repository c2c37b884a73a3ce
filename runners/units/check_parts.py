"""Parts of a spec that share a base, each checked by itself: arms, or points of a space."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from yolact_bench.errors import Faults, SpecError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Generic[T]):
    """One of them: where it is written, which slots or options it changes, and its check."""

    where: str  # file:line: key
    paths: Collection[str]
    check: Callable[[], T]


def check_parts(parts: Sequence[Part[T]], *, base: str | None) -> list[T]:
    """Return what the checks return, where none fails; `base` is where the base is
    written, None where that is not known.

    Raises:
        SpecError: all that is wrong, with its place. What is wrong with the base as well is named
            once, and again only for parts that write it themselves.
    """
    results: list[T] = []
    wrong: list[tuple[Part[T], list[str], list[SpecError]]] = []
    for part in parts:
        try:
            results.append(part.check())
        except SpecError as error:
            errors = list(error.parts or (error,))
            texts = [str(one).removeprefix(f"{part.where}: ") for one in errors]
            wrong.append((part, texts, errors))
    of_base = {text for part, texts, _ in wrong if base in (part.where, None) for text in texts}
    seen, faults = set[str](), Faults()
    for part, texts, errors in wrong:
        for text, one in zip(texts, errors, strict=True):
            if text not in seen & of_base or _is_own(text, part.paths):
                faults.add(type(one)(f"{part.where}: {text}"))
            seen.add(text)
    faults.raise_any()
    return results


def _is_own(text: str, paths: Collection[str]) -> bool:
    """Return whether a mistake, as in "nms.fast.top_k: …", is in what these paths write."""
    slot, *words = re.findall(r"\w+", text) or [""]
    return slot in paths or any(f"{slot}.{word}" in paths for word in words)
