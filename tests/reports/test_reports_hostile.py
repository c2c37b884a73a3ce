"""Text that others wrote stays text: one nasty string through every free field of every format."""

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from reports.figures.style import FigureSet
from reports.pages.curve_page import as_text
from reports.pages.html import html_report
from reports.pages.latex import latex_report
from reports.pages.markdown import markdown_report
from reports.pages.terminal import render
from reports.summary.aggregate import Summary, summarise
from reports.sweeps.build import render_sweep
from reports.sweeps.page import html_page, markdown_page
from reports.sweeps.tables import trials_csv
from reports.tables.csv import csv_files
from tests.support import fake_work
from tests.support.fake_sweeps import sweep_of, trial_of
from yolact_bench.results.curve import CurvePoint, LatencyCurve
from yolact_bench.results.expect import Outcome
from yolact_bench.results.manifest import Manifest, PlannedRun
from yolact_bench.results.record import Accuracy
from yolact_bench.results.store import Store
from yolact_bench.results.sweep import Sweep

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
LINKS = "[a](javascript:alert(1)) ![b](http://e.org/b.png) [c][d] &lt;i&gt; <javascript:x>"
CODE = "```\n# heading\n`tick`\n\n~~~\n---\n[d]: http://e.org\n"
TEX = "\\input{/etc/passwd}\\end{table}} ${x^2}_ %# & ~"
TERMINAL = "\x1b]0;title\x07\x1b[2J\x9b31m\r\x00\u202e\x7f"
SECRET = "hunter2"
URI = f"postgresql://me:{SECRET}@host/db"
NASTY = " ".join((SCRIPT, LINKS, CODE, TEX, TERMINAL, URI))
FORMULA = '=HYPERLINK("http://e.org")'


def _summary(nasty: str, path: Path) -> Summary:
    """A finished ablation in which every text of a user or of another program ends in `nasty`."""

    def arm(name: str) -> str:
        return f"{nasty}{name}"

    store = Store(path / "results.jsonl")
    for record in [*fake_work.finished_records(), fake_work.errors("fast")]:
        changes: dict[str, object] = {"arm": arm(record.arm)}
        env = replace(record.environment, device=nasty, os=nasty, driver=nasty, commit=nasty)
        changes["environment"] = env
        if isinstance(record, Accuracy):
            scores = {f"{nasty}{name}": ap for name, ap in record.mask.ap_by_class.items()}
            changes["mask"] = replace(record.mask, ap_by_class=scores)
            changes |= {"dataset": nasty, "origin": nasty if "seq" in record.arm else ""}
        if record.arm == "broken":
            changes["message"] = nasty
        if hasattr(record, "interleaved_with"):
            changes["interleaved_with"] = tuple(map(arm, record.interleaved_with))
        store.add(replace(record, **changes))  # type: ignore[arg-type]
    plan = fake_work.manifest()
    runs = tuple(replace(run, arm=arm(run.arm)) for run in plan.runs)
    lost = PlannedRun(
        arm=arm("lost"), seed=0, train_digest="", forward_digest="", detect_digest="x", run={}
    )
    changed = {arm(name): {"nms": {"name": nasty}, nasty: nasty} for name in plan.arm_changes}
    manifest: Manifest = replace(
        plan,
        name=nasty,
        question=nasty,
        command=nasty,
        baseline=arm("fast"),
        changes=(nasty,),
        arm_changes={**changed, arm("lost"): {}},
        dataset=nasty,
        expect=(),
        runs=(*runs, lost),
        dropped={arm("lost"): nasty},
    )
    summary = summarise(manifest, store, path)
    outcome = Outcome(text=nasty, met=False, detail=nasty)
    return replace(summary, outcomes=(outcome,), warnings=(*summary.warnings, nasty))


@pytest.fixture(scope="module", params=[NASTY, FORMULA], ids=["nasty", "formula"])
def nasty(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def summary(nasty: str, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return _summary(nasty, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return _summary("word", tmp_path_factory.mktemp("clean"))


def _sweep(text: str) -> Sweep:
    choices: dict[str, object] = {"params": {text: text}, "changes": {text: text}}
    return sweep_of(
        trial_of(0, metrics={"mask_ap": 0.3}, **choices),
        trial_of(1, "failed", reason=text, origin=text, **choices),
        name=text, question=text, command=text, base=text, dataset=text,
        confirm=text.replace(SECRET, ""),
        sampler=text, pruner=text, settings={text: text}, best=(0,),
    )  # fmt: skip


def _curve(text: str) -> LatencyCurve:
    point = CurvePoint(
        arm=text, value=1, median_ms=1.0, interval_ms=(), detections=None, stages_ms={},
        samples_ms=(1.0,),
    )  # fmt: skip
    return LatencyCurve(
        varied="detections", scenario="model", device=text, device_type="cpu", threads=1,
        timer="wall clock", batch_size=1, points=(point,), notes=(text,), invalid=text,
    )  # fmt: skip


def _tokens(markdown: str) -> list[Token]:
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    return [one for token in tokens for one in (token, *(token.children or ()))]


def _shape(markdown: str) -> Counter[str]:
    """How many elements of each kind that are more than text."""
    kinds = ("html", "link", "image", "heading", "fence", "list", "blockquote", "table_open", "hr")
    return Counter(t.type for t in _tokens(markdown) if t.type.startswith(kinds))


def _no_control(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert SECRET not in text


def test_markdown_has_the_same_elements_whatever_the_texts_say(
    summary: Summary, clean: Summary, nasty: str
) -> None:
    page, sweep = markdown_report(summary, ["stages"]), markdown_page(_sweep(nasty), ("history",))
    assert _shape(page) == _shape(markdown_report(clean, ["stages"]))
    assert _shape(as_text(_curve(nasty))) == _shape(as_text(_curve("word")))
    assert _shape(sweep) == _shape(markdown_page(_sweep("word"), ("history",)))
    _no_control(page + sweep)
    hrefs = {
        str(t.attrs[k]) for t in _tokens(page + sweep) for k in ("href", "src") if k in t.attrs
    }
    assert {href for href in hrefs if ":" in href.partition("/")[0]} == set()


def test_csv_has_no_cell_that_a_spreadsheet_runs(summary: Summary, nasty: str) -> None:
    texts = [*csv_files(summary).values(), trials_csv(_sweep(nasty))]
    cells = [cell for text in texts for row in csv.reader(io.StringIO(text)) for cell in row]
    run = [cell for cell in cells if re.match(r"[=+\-@\t\r\n＝]", cell)]
    assert [cell for cell in run if not re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", cell)] == []
    _no_control("".join(texts))


def test_latex_has_the_same_commands_and_even_braces(summary: Summary, clean: Summary) -> None:
    page, expected = (
        re.sub("^%.*$", "", latex_report(one), flags=re.MULTILINE) for one in (summary, clean)
    )
    shown = r"\\(?:text(?:backslash|ascii\w+|less|greater)|ldots|[&%$#_{}])"
    # What a text shows with a command of its own counts as text.
    commands = re.findall(r"\\(?:[A-Za-z]+|.)", re.sub(shown, "", page))
    assert Counter(commands) == Counter(
        re.findall(r"\\(?:[A-Za-z]+|.)", re.sub(shown, "", expected))
    )
    bare = re.sub(r"\\.|%.*", "", page)
    assert bare.count("{") == bare.count("}")
    assert page.count("\n") == expected.count("\n")
    labels = re.findall(r"\\label\{(.*)\}$", page, flags=re.MULTILINE)
    assert all(re.fullmatch(r"[\w.:+ -]+", label) for label in labels)
    _no_control(latex_report(summary))


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("small", "code"):  # what looks like an interval, or stands in backticks
            self.tags.update([tag, *(f"{tag} {name}" for name, _ in attrs)])


def test_html_has_the_same_elements(summary: Summary, clean: Summary, nasty: str) -> None:
    page, sweep = html_report(summary, {}), html_page(_sweep(nasty), {})
    assert _Tags(page).tags == _Tags(html_report(clean, {})).tags
    assert _Tags(sweep).tags == _Tags(html_page(_sweep("word"), {})).tags
    _no_control(page + sweep)


@pytest.mark.parametrize("colour", [False, True])
def test_a_terminal_gets_no_escape_sequence_but_our_colours(
    summary: Summary, nasty: str, colour: bool
) -> None:
    text = render(summary, width=400, notes=True, colour=colour)
    text += render_sweep(_sweep(nasty), width=400, colour=colour)
    _no_control(re.sub(r"\x1b\[[\d;]*m", "", text) if colour else text)


def test_numbers_stay_numbers(summary: Summary) -> None:
    """Sequential has an AP 0.25 points above fast, cross-class 0.5 below: no apostrophe there."""
    rows = list(csv.DictReader(io.StringIO(csv_files(summary)["table.csv"])))
    below = [v for row in rows for v in row.values() if v and re.match(r"'[+-]?\d+(\.\d+)?$", v)]
    assert below == []


def test_dollars_in_a_name_are_no_formula() -> None:
    from matplotlib.figure import Figure

    def drawing(name: str) -> Figure:
        figure = Figure()
        figure.text(0, 0, name)
        return figure

    figures: FigureSet[str] = FigureSet({"one": drawing})
    assert set(figures.draw("$\\frac{$", proxy=None)["one"]) == {"svg", "png"}
