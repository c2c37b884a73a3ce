"""How one ablation differs from another: arms, settings, numbers, failures, provenance, times."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reports.compare.comparison import ArmChange, Change, Comparison, NumberChange
from reports.compare.sides import Side, paired_arms
from reports.compare.times import latency_changes
from yolact_bench.results.fingerprint import environment_facts
from yolact_bench.results.manifest import PlannedRun
from yolact_bench.results.metrics import RESAMPLED, points, title
from yolact_bench.results.record import Accuracy, Failure

_SETTINGS = (
    *("question", "base", "baseline", "changes", "seeds", "measure", "dataset", "paper"),
    *("expect", "budget"),
)
_OF_PLACE = {"file", "root", "seed"}  # where data lies changes nothing; seeds are rows
_FACTS = ("dataset", "eval_data", "num_images", "parameters", "iterations", "skipped_annotations")


_Row = tuple[str, str, str, str]  # arm, what, a, b


def compare_ablations(left: Side, right: Side) -> Comparison:
    """Return what changed from one ablation to the other.

    Arms with an equal detection digest are the same, whatever they are called; the others are
    compared by name.
    """
    pairs = paired_arms(left, right)
    names = (left.manifest.name, right.manifest.name)
    latencies, refused = latency_changes(left.sessions, right.sessions, pairs)
    return Comparison(
        title=names[0] if names[0] == names[1] else f"{names[0]} → {names[1]}",
        settings=tuple(
            Change(what=what, a=_words(old), b=_words(new))
            for what in _SETTINGS
            if (old := getattr(left.manifest, what)) != (new := getattr(right.manifest, what))
        ),
        arms_added=tuple(arm for arm in right.runs if arm not in pairs.values()),
        arms_removed=tuple(arm for arm in left.runs if arm not in pairs),
        arms_renamed=tuple(Change(what="arm", a=x, b=y) for x, y in pairs.items() if x != y),
        arm_settings=_group(_arm_settings(left, right, pairs)),
        numbers=tuple(_numbers(left, right, pairs)),
        records=_group(_records(left, right, pairs)),
        failures=tuple(_failures(left, right, pairs)),
        provenance=tuple(_provenance(left, right)),
        latencies=latencies,
        latency_refused=refused,
    )


def _arm_settings(a: Side, b: Side, pairs: Mapping[str, str]) -> Iterator[_Row]:
    for x, y in pairs.items():
        seed = next((seed for seed in a.runs[x] if seed in b.runs[y]), None)
        if seed is None:
            continue
        old, new = _options(a.runs[x][seed].run), _options(b.runs[y][seed].run)
        for what in dict.fromkeys([*old, *new]):
            if old.get(what) != new.get(what):
                yield x, what, _words(old.get(what, "–")), _words(new.get(what, "–"))


def _options(run: Mapping[str, object]) -> dict[str, object]:
    """Return slot.option → value of a resolved run."""
    options: dict[str, object] = {}
    for slot, choice in run.items():
        if isinstance(choice, Mapping):
            options |= {
                (slot if key == "name" else f"{slot}.{key}"): value
                for key, value in choice.items()
                if key not in _OF_PLACE
            }
        elif slot not in _OF_PLACE:
            options[slot] = choice
    return options


def _both(a: Side, b: Side, pairs: Mapping[str, str]) -> Iterator[tuple[PlannedRun, PlannedRun]]:
    for x, y in pairs.items():
        for seed, run in a.runs[x].items():
            if seed in b.runs[y]:
                yield run, b.runs[y][seed]


def _numbers(a: Side, b: Side, pairs: Mapping[str, str]) -> Iterator[NumberChange]:
    for old, new in _both(a, b, pairs):
        first, second = a.accuracies.get(old.detect_digest), b.accuracies.get(new.detect_digest)
        if first is None or second is None:
            continue
        for metric in RESAMPLED:
            x, y = points(first, metric), points(second, metric)
            if x != y:
                yield NumberChange(
                    arm=old.arm,
                    seed=old.seed,
                    metric=title(metric),
                    a=x,
                    b=y,
                    delta=None if x is None or y is None else y - x,
                    same_digest=old.detect_digest == new.detect_digest,
                )


def _records(a: Side, b: Side, pairs: Mapping[str, str]) -> Iterator[_Row]:
    for old, new in _both(a, b, pairs):
        label = f"{old.arm} seed {old.seed}"
        first, second = a.accuracies.get(old.detect_digest), b.accuracies.get(new.detect_digest)
        if first is None or second is None:
            if first is not second:
                yield label, "accuracy", _presence(first), _presence(second)
            continue
        for fact in _FACTS:
            x, y = getattr(first, fact), getattr(second, fact)
            if x != y:
                yield label, fact, _words(x), _words(y)


def _failures(a: Side, b: Side, pairs: Mapping[str, str]) -> Iterator[Change]:
    for old, new in _both(a, b, pairs):
        first = _reasons(a.failures.get(old.detect_digest, ()))
        second = _reasons(b.failures.get(new.detect_digest, ()))
        if first != second:
            yield Change(what=f"arm {old.arm} seed {old.seed}", a=first, b=second)


def _provenance(a: Side, b: Side) -> Iterator[Change]:
    old, new = _facts_of(a), _facts_of(b)
    for what in dict.fromkeys([*old, *new]):
        first, second = (", ".join(sorted(side.get(what, ()))) or "–" for side in (old, new))
        if first != second:
            yield Change(what=what, a=first, b=second)


def _facts_of(side: Side) -> dict[str, set[str]]:
    facts: dict[str, set[str]] = {}
    environments = [a.environment for a in side.accuracies.values()]
    for environment in (*environments, *(s.environment for s in side.sessions)):
        facts_of_one = {"commit": environment.short_commit, **environment_facts(environment)}
        for what, value in facts_of_one.items():
            facts.setdefault(what, set()).add(value)
    return facts


def _group(changes: Iterable[_Row]) -> tuple[ArmChange, ...]:
    """Merge equal changes of several arms."""
    arms: dict[tuple[str, str, str], list[str]] = {}
    for arm, what, a, b in changes:
        arms.setdefault((what, a, b), []).append(arm)
    return tuple(
        ArmChange(arms=tuple(names), what=what, a=a, b=b) for (what, a, b), names in arms.items()
    )


def _presence(record: Accuracy | None) -> str:
    if record is None:
        return "missing"
    value = points(record, "mask_ap")
    return "present" if value is None else f"present, mask AP {value:.2f}"


def _reasons(failures: Sequence[Failure]) -> str:
    return "; ".join(failure.reason for failure in failures) or "none"


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(str(item) for item in value)}]"
    return "none" if value is None else str(value)
