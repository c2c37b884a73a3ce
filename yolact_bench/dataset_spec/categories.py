"""The categories of a COCO file: which ids mean a class, and which categories are none."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolact_bench.coco_content import TextEntries
from yolact_bench.coco_fields import whole_number, with_keys
from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.findings import NUMBER, SAME_NAME, TRIMMED_NAME, Findings


@dataclass(frozen=True, slots=True)
class Category:
    """A category as its file describes it."""

    id: int
    name: str
    group: str  # `supercategory`, "" if there is none


def read_categories(
    entries: Sequence[object], mistakes: Mistakes, findings: Findings
) -> tuple[Category, ...]:
    """Return the categories of a file, each id once; wrong ones are added to `mistakes`."""
    categories: dict[int, Category] = {}
    for number, entry in enumerate(entries):
        where = f"categories[{number}]"
        try:
            one = _category(where, entry, findings)
        except SpecError as error:
            mistakes.add(str(error))
            continue
        other = categories.setdefault(one.id, one)
        if other.name != one.name:
            mistakes.add(
                f"{where}: the id {one.id} is used twice, for {other.name!r} and {one.name!r}; "
                "write another id, also in its annotations, or remove the category"
            )
    return tuple(categories.values())


def used_categories(annotations: Iterable[object]) -> frozenset[int]:
    """Return the category ids of annotations."""
    values = (
        annotations.values("category_id")
        if isinstance(annotations, TextEntries)
        else (one.get("category_id") for one in annotations if isinstance(one, dict))
    )
    numbers = {value for value in values if type(value) in (int, float, str)}
    return frozenset(id for each in numbers if (id := whole_number(each)) is not None)


def ids_by_name(
    categories: Iterable[Category],
    used: Collection[int],
    mistakes: Mistakes,
    findings: Findings,
) -> dict[str, tuple[int, ...]]:
    """Return the ids of each name, the first of them for the class, in the order of the file.

    Two ids of one name are one class if one of them is in no annotation, or both are of the same
    supercategory; otherwise the name has two meanings, which is added to `mistakes`.
    """
    groups: dict[str, list[Category]] = {}
    for one in categories:
        groups.setdefault(one.name, []).append(one)
    ids: dict[str, tuple[int, ...]] = {}
    for name, same in groups.items():
        annotated = [one for one in same if one.id in used]
        first = sorted(annotated or same, key=lambda one: one.id)
        rest = [one for one in same if one not in first]
        numbers = tuple(one.id for one in (*first, *rest))
        if len({one.group for one in annotated}) > 1:
            meanings = ", ".join(f"{one.id} in {one.group or 'no group'!r}" for one in annotated)
            mistakes.add(
                f"categories: {len(annotated)} are named {name!r} ({meanings}), and all have "
                "annotations; give each its own name, or all the same 'supercategory' to join them"
            )
        elif len(same) > 1:
            text = f"{name!r}: ids {', '.join(map(str, numbers))}"
            findings.add(SAME_NAME, f"category {numbers[0]}", text)
        ids[name] = numbers
    return ids


def class_names(content: Mapping[str, Any], mistakes: Mistakes) -> tuple[str, ...]:
    """Return the names of the classes of a file's content, in the order of their ids.

    A category that no annotation has is no class if it only groups others: all of them name it
    as their supercategory; or it is the background, or the only category without annotations and
    of id 0.
    """
    entries, annotations = content.get("categories"), content.get("annotations")
    if not isinstance(entries, list):
        mistakes.add("the list 'categories' is missing; add it, or name a COCO-format file")
        return ()
    used = frozenset[int]()
    if isinstance(annotations, (list, TextEntries)):
        used = used_categories(annotations)
    categories = read_categories(entries, mistakes, Findings())
    ids = ids_by_name(categories, used, mistakes, Findings())
    numbers = {name: of_name[0] for name, of_name in ids.items()}
    chosen = [one for one in categories if numbers[one.name] == one.id]
    classes = [one for one in chosen if not is_grouping(one, chosen, used)]
    return tuple(one.name for one in sorted(classes, key=lambda one: one.id))


def is_grouping(one: Category, categories: Iterable[Category], used: Collection[int]) -> bool:
    """Return whether a category is in no annotation and only stands above or behind the others."""
    others = [other for other in categories if other.id != one.id]
    if one.id in used or not others:
        return False
    is_above = all(other.group == one.name for other in others)
    is_placeholder = one.id == 0 and all(other.id in used for other in others)
    return is_above or is_placeholder or one.name.strip("_").lower() == "background"


def _category(where: str, entry: object, findings: Findings) -> Category:
    """Return one entry.

    Raises:
        SpecError: no object, a key that is missing or a value that cannot be used.
    """
    if isinstance(entry, dict) and type(entry.get("id")) is not int:
        number = whole_number(entry.get("id"))
        if number is not None:
            findings.add(NUMBER, where, f"id {entry['id']!r}")
            entry = {**entry, "id": number}
    one = with_keys(where, entry, ("id", "name"))
    group = one.get("supercategory")
    name = str(one["name"]).strip()
    if not name:
        raise SpecError(f"{where}: name: expected a text, got {one['name']!r}")
    if name != str(one["name"]):
        findings.add(TRIMMED_NAME, where, repr(one["name"]))
    return Category(one["id"], name, group.strip() if isinstance(group, str) else "")
