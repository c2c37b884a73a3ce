"""The declared factors of an ablation: what its arms may change, and must."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from yolact_bench.errors import SpecError
from yolact_bench.spec.run import Run


def check_factors(
    changes: Sequence[str], arms: Mapping[str, tuple[Run, str]], baseline: str, *, where: str
) -> None:
    """Check that arms differ from the baseline in the declared factors, and only in them.

    `arms` is name → run and where it is written; `where` is where the factors are declared.

    Raises:
        SpecError: an arm that differs elsewhere, which would be confounded; or a factor in which
            none differs, which would say that something was looked at when it was not.
    """
    touched: set[str] = set()
    for run, place in arms.values():
        for slot, options in _differences(run, arms[baseline][0]).items():
            named = {f"{slot}.{option}" for option in options}
            undeclared = sorted(named - set(changes))
            if slot not in changes and (undeclared or not options):
                raise SpecError(
                    f"{place}: differs from the baseline {baseline!r} in "
                    f"{undeclared[0] if undeclared else slot}, which is not among changes: "
                    f"[{', '.join(changes)}]; declare it, or leave it alone"
                )
            touched |= {slot, *named}
    for factor in changes:
        # A slot that is replaced whole stands for all of its options.
        if factor not in touched and f"{factor.partition('.')[0]}.name" not in touched:
            raise SpecError(
                f"{where}: {factor} is declared, but no arm differs from the baseline "
                f"{baseline!r} in it; remove it, or add an arm that changes it"
            )


def _differences(ours: Run, theirs: Run) -> dict[str, list[str]]:
    """Return slot → options that differ; no options where it is a single value."""
    different = {}
    for field in fields(Run):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        if a != b:
            different[field.name] = _options(a, b)
    return different


def _options(ours: object, theirs: object) -> list[str]:
    if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
        return []
    if ours.get("name") != theirs.get("name"):
        return ["name"]
    return [k for k in {**ours, **theirs} if ours.get(k) != theirs.get(k)]
