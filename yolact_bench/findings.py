"""What a file of the user had that was mended, left out or doubtful: findings, counted by kind."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from yolact_bench.errors import SpecError, hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place in the user's data, and what was the matter there."""

    kind: str  # entry of FINDINGS
    where: str  # "image 3: annotation 7"; the file and its split are added where it is printed
    text: str
    count: int = 1  # of places: more than 1 where they are not listed one by one


LEFT_OUT = "annotation left out"
NO_IMAGE = "annotation without image"
NO_CATEGORY = "annotation without category"
NEW_ID = "annotation id changed"
REPEATED_ANNOTATION = "annotation repeated"
AREA = "area computed"
AREA_DIFFERS = "area disagrees"
BOX = "box computed"
BOX_DIFFERS = "box disagrees"
CROWD = "iscrowd read"
POLYGON = "polygon rearranged"
PART = "polygon part left out"
NUMBER = "number read from text"
IMAGE_SIZE = "image size taken"
REPEATED_IMAGE = "image repeated"
MANY_OBJECTS = "image of many objects"
EXTRA_CATEGORY = "category left out"
SAME_NAME = "categories joined"
TRIMMED_NAME = "class name trimmed"
NAMES_ALIKE = "class names alike"
ABSENT_CLASS = "class absent"
EMPTY_CLASS = "class without objects"
NO_CELL = "object without a cell"
IMAGE_NAME = "image name read"
ORIENTATION = "orientation ignored"
DEPTH = "deep images scaled"
SAME_IMAGE = "image under two ids"
LEAK = "training image in another split"

# What was done about a finding of each kind.
FINDINGS: Mapping[str, str] = {
    LEFT_OUT: "no usable box and mask: counts neither in training nor in scoring",
    NO_IMAGE: "its image is not listed: left out",
    NO_CATEGORY: "its category is not listed: left out",
    NEW_ID: "a free number was given, which nothing else depends on",
    REPEATED_ANNOTATION: "the same in every field: the first one counts",
    AREA: "no usable area: that of the mask counts",
    AREA_DIFFERS: "far from the area of the mask: the stated one decides between small and large",
    BOX: "no usable box: the one around the mask counts",
    BOX_DIFFERS: "far from the box around the mask: used as it is",
    CROWD: "another form of 0 or 1: read as what it means",
    POLYGON: "coordinates nested another way: read as a list of polygons",
    PART: "unusable beside others: the object is the rest",
    NUMBER: "a text or a decimal: read as the whole number that it is",
    IMAGE_SIZE: "the file states none: that of the image counts",
    REPEATED_IMAGE: "the same entry twice: the first one counts",
    MANY_OBJECTS: "more of a class than the 100 detections that COCO's scores count: see max_dets",
    EXTRA_CATEGORY: "no annotation has it and it is no class of the data set: left out",
    SAME_NAME: "two ids of one name: one class, with the first id",
    TRIMMED_NAME: "blanks around it are no part of it",
    NAMES_ALIKE: "they differ by small and large letters alone: classes of their own",
    EMPTY_CLASS: "the training split has no single object of it: it cannot be learnt",
    ABSENT_CLASS: "the split has no such category: it has no objects of the class",
    NO_CELL: "too small for the masks at this size: its mask is empty in training",
    IMAGE_NAME: "no file is called so: the only one that it can mean is used",
    ORIENTATION: "annotated as it is stored, not as it is seen: read as stored",
    DEPTH: "more than 8 bits a value: all splits are scaled as the training images are",
    SAME_IMAGE: "the same file, or a copy of it: counts each time",
    LEAK: "scored as it is, which says nothing of new images",
}

NO_AREA = "no area"  # the text of an `AREA` that is not stated
# Kinds of which the results of versions without images in fingerprints were others,
_READ_OTHERWISE = frozenset({AREA, BOX, CROWD, DEPTH, PART, POLYGON})
# but for findings whose text ends so.
_READ_ALIKE = (NO_AREA, "iscrowd true", "iscrowd false", "as of 16 bits")

ALL_KINDS = "all"  # of --strict
_MOST_SHOWN = 5  # places of a kind
_MOST_LISTED = 1000  # of a kind; a large file may have as many findings as annotations


class Findings:
    """Collects the findings of a file, of each kind only so many one by one."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._listed: list[Finding] = []

    def add(self, kind: str, where: str, text: str) -> None:
        """Add one at a place."""
        self._counts[kind] += 1
        if self._counts[kind] <= _MOST_LISTED:
            self._listed.append(Finding(kind=kind, where=where, text=text))

    def all(self) -> tuple[Finding, ...]:
        """Return them in the order in which they were added, the rest of each kind as one."""
        rest = [
            Finding(kind=kind, where="elsewhere", text="not listed", count=count - _MOST_LISTED)
            for kind, count in self._counts.items()
            if count > _MOST_LISTED
        ]
        return (*self._listed, *rest)


def count_kinds(findings: Iterable[Finding]) -> dict[str, int]:
    """Return the number of findings of each kind there is, in the order of FINDINGS."""
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[finding.kind] += finding.count
    return {kind: counts[kind] for kind in FINDINGS if counts[kind]}


def kinds_read_otherwise(findings: Iterable[Finding]) -> list[str]:
    """Return the kinds of findings with which the results of earlier versions were others."""
    # What is not listed has others of its kind.
    kinds = {one.kind for one in findings if one.count == 1 and not one.text.endswith(_READ_ALIKE)}
    return sorted(kinds & _READ_OTHERWISE)


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts by kind in one line: "3 findings: 2 area computed, 1 box computed"."""
    total = sum(counts.values())
    kinds = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    return f"{total} finding{'s' if total > 1 else ''}: {kinds}"


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield all findings by kind: how many, what was done about them, and the first places."""
    for kind, number in count_kinds(findings).items():
        yield f"{kind}: {number} ({FINDINGS[kind]})"
        same = [finding for finding in findings if finding.kind == kind]
        for finding in same[:_MOST_SHOWN]:
            yield f"  {finding.where}: {finding.text}"
        if (rest := number - sum(finding.count for finding in same[:_MOST_SHOWN])) > 0:
            yield f"  and {rest} more"


def name_kinds(words: Sequence[str]) -> list[str]:
    """Return the words of a command line, with `all` behind each --strict that names no kind."""
    named: list[str] = []
    for place, word in enumerate(words):
        named.append(word)
        follows = words[place + 1] if place + 1 < len(words) else ""
        names_kinds = "," in follows or follows.replace("-", " ") in {*FINDINGS, ALL_KINDS}
        if word == "--strict" and not names_kinds:
            named.append(ALL_KINDS)
    return named


def strict_kinds(option: str | None) -> frozenset[str]:
    """Return the kinds that a command makes errors: those it names, or all of them.

    Raises:
        SpecError: there is no such kind.
    """
    if option is None:
        return frozenset()
    if option == ALL_KINDS:
        return frozenset(FINDINGS)
    kinds = [" ".join(word.replace("-", " ").split()) for word in option.split(",")]
    for kind in kinds:
        if kind not in FINDINGS:
            raise SpecError(f"--strict: no kind of finding is named {kind!r}{hint(kind, FINDINGS)}")
    return frozenset(kinds)


def refuse_kinds(title: str, findings: Iterable[Finding], kinds: frozenset[str]) -> None:
    """Return if there is no finding of these kinds in a split of data, its `title`.

    Raises:
        SpecError: there are; with the first places of each kind.
    """
    faults = [finding for finding in findings if finding.kind in kinds]
    if faults:
        lines = [f"{title}: --strict: {counts_text(count_kinds(faults))}", *finding_lines(faults)]
        lines.append("correct them, or leave out --strict")
        raise SpecError("\n  ".join(lines))
