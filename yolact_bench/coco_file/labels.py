"""Which label the annotations of each category of a file have."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yolact_bench.dataset_spec.categories import ids_by_name, read_categories
from yolact_bench.errors import Mistakes, hint
from yolact_bench.findings import ABSENT_CLASS, EXTRA_CATEGORY, NAMES_ALIKE, Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels of a file's category ids."""

    category_ids: tuple[int, ...]  # of each class, a free number where the file has no such class
    of_category: Mapping[int, int]
    others: frozenset[int]  # ids that are known, but of no class


def read_labels(
    entries: Sequence[object],
    classes: Sequence[str],
    used: frozenset[int],
    *,
    subset: bool,
    may_lack: bool,
    mistakes: Mistakes,
    findings: Findings,
) -> Labels:
    """Return the labels of a file's categories, by name: each file may number them otherwise.

    `used` are the ids that annotations have. With `subset`, other categories than `classes` are
    left out; otherwise none may have annotations. With `may_lack` the file need not have all.
    """
    before = mistakes.count
    categories = read_categories(entries, mistakes, findings)
    are_right = bool(entries) and mistakes.count == before
    ids = ids_by_name(categories, used, mistakes, findings)
    free = max((one.id for one in categories), default=0) + 1
    category_ids: list[int] = []
    for name in classes:
        if name in ids:
            category_ids.append(ids[name][0])
            continue
        text = f"no category is named {name!r}{hint(name, ids)}"
        if may_lack and not ids.keys().isdisjoint(classes):
            findings.add(ABSENT_CLASS, "categories", text)
        elif are_right:
            mistakes.add(text)
        category_ids.append(free)
        free += 1
    _note_names_alike([name for name in classes if name in ids], ids, findings)
    extra = [name for name in ids if name not in classes]
    with_objects = [name for name in extra if not used.isdisjoint(ids[name])]
    if with_objects and not subset:
        mistakes.add(
            f"categories beside those of the data set: {', '.join(with_objects)}, where the "
            f"classes are {', '.join(classes)}; name the wanted ones under 'classes' in "
            "dataset.yaml"
        )
    for name in [] if subset else extra:
        if name not in with_objects:
            findings.add(EXTRA_CATEGORY, f"category {ids[name][0]}", repr(name))
    labels = {name: label for label, name in enumerate(classes)}
    return Labels(
        category_ids=tuple(category_ids),
        of_category={id: labels[name] for name in classes for id in ids.get(name, ())},
        others=frozenset(id for name in extra for id in ids[name]),
    )


def _note_names_alike(
    names: Sequence[str], ids: Mapping[str, Sequence[int]], findings: Findings
) -> None:
    alike = Counter(name.casefold() for name in names)
    for name in names:
        if alike[name.casefold()] > 1:
            findings.add(NAMES_ALIKE, f"category {ids[name][0]}", repr(name))


def shift_of(unknown: Counter[int], used: frozenset[int], labels: Labels) -> int:
    """Return 1 or -1 if adding it to all category ids makes every one of them known, else 0."""
    known = labels.of_category.keys() | labels.others
    if not unknown:
        return 0
    return next((by for by in (1, -1) if {one + by for one in used} <= known), 0)
