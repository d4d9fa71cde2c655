"""Labels: refused where they could not be drawn or told apart, and else drawn as they are in
every output; and what models wrote, whose control characters are shown."""

from __future__ import annotations

import copy
import io
import json
import logging
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from selfgen.cli import main as cli
from selfgen.config import load
from selfgen.config.synthetic import load as load_synthetic
from selfgen.core.errors import UserError
from selfgen.core.names import MAX_LABEL
from selfgen.core.text import shown
from selfgen.report import style
from selfgen.report.grid import Entry, Grid, to_csv, to_markdown
from selfgen.report.latex import to_latex
from selfgen.report.samples import samples_page
from selfgen.report.spec import Cell, Column, TableSpec

CONFIGS = Path(__file__).parents[1] / "workflow"
SMALL = yaml.safe_load((CONFIGS / "small.yaml").read_text())
SYNTHETIC = yaml.safe_load((CONFIGS / "synthetic.yaml").read_text())

BAD = (
    *(
        "",
        " ",
        "\t",
        "_hidden",
        "two\nlines",
        "a\rb",
        "a\x00b",
        "a\x1b[31mb",
        "a\x07",
        "a\x7f",
    ),
    *("a\x9bb", "a\u2028b", "a\u202eb", " a", "a ", "a\u200b", "x" * (MAX_LABEL + 1)),
)
NASTY = (
    *(r"$\foo$", r"$x^2$ and $y$", "cost: $5", "</script><script>alert(1)</script>"),
    *(
        "a | b",
        r"back\slash",
        r"\| \\",
        "100% & more",
        "snake_case_name",
        "# 1",
        "a # b #",
    ),
    *(
        "**bold** *it* ~~no~~",
        "`code`",
        "[x](http://y)",
        "![x](y)",
        "[^1]",
        "[1]",
        "*star",
    ),
    *("&amp; &lt;", "<b>b</b>", "{task} {} {{ x }}", "a--b---c", "''q''", '"q"', "~^"),
    *(
        "- item",
        "+ item",
        "1. one",
        "= =",
        "--",
        "é ü ß",
        "x -- \\end{tabular}",
        "%d %s",
    ),
    *("<!-- c -->", "]]>", "-->", ":smile:", "=1+1"),
)


def problems(load: Any, raw: dict[str, Any]) -> list[str]:
    with pytest.raises(UserError) as caught:
        load(raw)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("label", BAD)
def test_a_label_that_cannot_be_drawn_is_refused(label: str) -> None:
    raw = copy.deepcopy(SMALL)
    raw["methods"]["bash"]["label"] = label
    [line] = problems(load, raw)
    assert re.match(r"config: methods\.bash\.label: found .*, allowed: ", line)
    assert line.isprintable()
    other = copy.deepcopy(SYNTHETIC)
    other["experiments"]["words"]["label"] = label
    [line] = problems(load_synthetic, other)
    assert line.startswith("config: experiments.words.label: found ")
    raw = copy.deepcopy(SMALL)
    prices = {"input_price": 1.0, "output_price": 1.0, "budget": 1.0}
    raw["judges"] = {"judge": {"kind": "endpoint", "model": label, **prices}}
    if label != "_hidden" and len(label) <= MAX_LABEL:
        [line] = problems(load, raw)
        assert line.startswith("config: judges.judge.model: found ")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            {"bash": "SFT"},
            "methods.bash.label: found 'SFT', which methods.sft.label is",
        ),
        (
            {"bash": "sft"},
            "methods.bash.label: found 'sft', which methods.sft.label is",
        ),
        (
            {"bash": "SFT  Continued"},
            "methods.bash.label: found 'SFT Continued', which",
        ),
        ({"sft": "\u00e9", "bash": "e\u0301"}, "methods.bash.label: found "),
        ({"bash": "Lead-1"}, "which the first sentence of a prompt is called too"),
        ({"bash": "Reference"}, "which the reference answer is called too"),
        ({"bash": "RAC, corrected once"}, "which methods.bash.label is called too"),
    ],
)
def test_labels_that_readers_do_not_tell_apart(
    labels: dict[str, str], said: str
) -> None:
    raw = copy.deepcopy(SMALL)
    rac = {"label": "RAC", "mix": "rac", "parent": "sft", "stage": "second"}
    raw["methods"]["rac"] = rac | {"decodings": ["direct", "corrected"]}
    load(raw)
    for name, label in labels.items():
        raw["methods"][name]["label"] = label
    [line] = problems(load, raw)
    assert line.startswith("config: ") and said in line


def test_labels_of_experiments_are_told_apart() -> None:
    raw = copy.deepcopy(SYNTHETIC)
    raw["experiments"]["words"]["label"] = "brief"
    assert problems(load_synthetic, raw) == [
        "config: experiments.words.label: found 'brief', which experiments.brief.label is"
        " called too"
    ]
    raw = copy.deepcopy(SYNTHETIC)
    raw["experiments"]["words"]["methods"]["sft"]["label"] = "BASH"
    [line] = problems(load_synthetic, raw)
    assert line.startswith("config: experiments.words.methods.bash.label: found 'BASH'")


def test_legitimate_labels_are_taken() -> None:
    for label in NASTY:
        raw = copy.deepcopy(SMALL)
        raw["methods"]["bash"]["label"] = label
        assert load(raw).methods["bash"].label == label


def grid() -> Grid:
    """Every nasty label as a title, in the header, in rows and in notes."""
    rows = [[label, Entry("1.0", "▲", "[0.5, 1.5]", bold=True)] for label in NASTY]
    rows += [[Entry(label, bold=True), "x"] for label in NASTY]
    notes = [f"{label} fell below {label}, that is: {label}" for label in NASTY]
    return Grid("t", NASTY[0], ["Method", NASTY[2]], rows, notes)


def rendered(text: str) -> tuple[list[list[str]], list[str]]:
    """The cells of the tables and the items of the lists of a page, as a reader of Markdown
    sees them: text, and tags only where they are ours (line breaks)."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    rows, items, opened = [], [], ""
    for token in parser.parse(text):
        if token.type in ("tr_open", "list_item_open"):
            opened = token.type
            rows += [[]] if opened == "tr_open" else []
        if token.type != "inline":
            continue
        seen = ""
        for child in token.children or ():
            if child.type == "html_inline":
                assert child.content == "<br>", child.content
                seen += "\n"
            else:
                assert child.type in (
                    "text",
                    "text_special",
                    *("strong_open", "strong_close", "em_open", "em_close"),
                ), token.content
                seen += child.content
        if opened == "tr_open":
            rows[-1].append(seen)
        elif opened:
            items.append(seen)
    return rows, items


def test_markdown_shows_labels_as_they_are() -> None:
    rows, items = rendered(to_markdown(grid()))
    assert rows[0] == ["Method", NASTY[2]]
    assert [row[0] for row in rows[1:]] == [*NASTY, *NASTY]
    assert {row[1] for row in rows[1:]} == {"1.0 ▲\n[0.5, 1.5]", "x"}
    assert items == list(grid().notes)


COMMANDS = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textasciigrave{}": "`",
    **{f"\\{character}": character for character in "&%$#_{}"},
    "''": '"',
    "{}": "",
}
"""What LaTeX sets for what we write; two apostrophes are one sign."""


def read_latex(text: str) -> str:
    """The characters that LaTeX sets. Fails where one stands bare that means something."""
    found = re.split("|".join(map(re.escape, COMMANDS)), text)
    assert not re.search(r"[\\&%$#_{}~^<>|`\"]|--", " ".join(found)), text
    pattern = "|".join(map(re.escape, COMMANDS))
    return re.sub(pattern, lambda m: COMMANDS[m.group()], text)


def test_latex_shows_labels_as_they_are() -> None:
    text = to_latex(grid())
    parts = re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL)
    lines = [x for part in parts for x in part.splitlines() if not x.startswith(" & ")]
    assert not any(line.startswith(("[", "*")) for line in lines)
    shown = [line.partition(" & ")[0] for line in lines]
    assert [read_latex(one) for one in shown[: len(NASTY)]] == list(NASTY)
    bold = [
        one.removeprefix(r"\textbf{").removesuffix("}") for one in shown[len(NASTY) :]
    ]
    assert [read_latex(one) for one in bold] == list(NASTY)
    notes = [
        line.removesuffix(r"\par")
        for line in text.splitlines()
        if line.endswith(r"\par")
    ]
    assert [read_latex(one) for one in notes if "fell below" in one] == list(
        grid().notes
    )
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption{"))
    assert read_latex(caption.removeprefix(r"\caption{").removesuffix("}")) == NASTY[0]


def test_csv_and_specs_hold_labels_as_they_are() -> None:
    import csv

    text = to_csv(["label"], [[label] for label in NASTY])
    assert [row["label"] for row in csv.DictReader(io.StringIO(text))] == list(NASTY)
    assert json.loads(json.dumps(NASTY)) == list(NASTY)


@style.styled
def drawn(labels: tuple[str, ...]) -> Any:
    """Labels at all places where figures have them: legend, axes, titles, rows."""
    figure, axes = style.panels(1, 1, (6, 8))
    ax = axes[0][0]
    for i, label in enumerate(labels):
        ax.plot([0, 1], [i, i], label=label)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_title(labels[0])
    ax.set_xlabel(labels[1])
    style.legend(figure, axes)
    return figure


def test_figures_show_labels_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letter by letter, in the legend too: the comment that matplotlib writes before the
    outlines of a text says what it drew, and text that is no outline says it itself."""
    figure = drawn(NASTY)
    entries = figure.legends[0].get_texts()
    assert [text.get_text() for text in entries] == list(NASTY)
    for kind in style.KINDS:
        assert style.render(figure, kind)
    svg = style.render(figure, "svg").decode()
    ElementTree.fromstring(svg)  # noqa: S314
    assert "<script" not in svg
    monkeypatch.setitem(style.STYLE, "svg.fonttype", "none")
    page = ElementTree.fromstring(style.render(drawn(NASTY), "svg"))  # noqa: S314
    texts = [
        "".join(node.itertext())
        for node in page.iter("{http://www.w3.org/2000/svg}text")
    ]
    for label in NASTY:
        # Spaces side by side are one in SVG.
        assert texts.count(label) >= 2, label


CONTROLS = "a\x00b\x1b[31mred\x07\x7f\x85\x9b1m\u2028\u202eend\x0b\x0c\r"


def test_control_characters_are_shown() -> None:
    assert shown(CONTROLS) == ("a␀b␛[31mred␇␡\\x85\\x9b1m\\u2028\\u202eend␋␌␍")
    assert shown("a\tb\nc\r\nd é 漢 🙂 \u200d") == "a\tb\nc\nd é 漢 🙂 \u200d"
    every = "".join(map(chr, [*range(0x100), *range(0x2000, 0x2070), 0xD800]))
    left = set(shown(every)) & {*map(chr, [*range(32), *range(127, 160)])}
    assert left == {"\t", "\n"}


def test_samples_show_the_control_characters_of_answers() -> None:
    column = Column("qa", "test", "rougeL", "QA")
    cell = Cell("qa", "m", "bash", "direct", 0)
    labels = {"bash": "</script> | $x$"}
    spec = TableSpec(
        "samples", "samples", "s", (column,), labels, "bash", (), 0.95, (cell,), None
    )
    answer = f"{CONTROLS} first\n</td></table><script>x</script> | $y$ ![a](b)\n- z"
    record = {"id": "q\x1b1", "split": "test", "prompt": f"1. {CONTROLS} # <b>"}
    page = samples_page(
        {"qa": [record | {"reference": "\x00"}]},
        [[{"id": record["id"], "text": answer}]],
        spec,
    )
    assert not {*page} & {*map(chr, range(32)), *map(chr, range(127, 160))} - {"\n"}
    assert "\u202e" not in page and "\u2028" not in page
    rows, _ = rendered(page)
    assert rows[1:] == [
        ["Reference", "␀"],
        ["</script> | $x$", shown(answer)],
    ]
    assert "### q␛1" in page
    assert r"> 1\. a␀b␛" in page


def test_log_lines_and_errors_control_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever a line quotes: what a model or an endpoint wrote, the name of a file."""
    path = tmp_path / "a\x1b[31m.yaml"
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    assert cli.main(["check", str(path)]) != 0
    logging.getLogger("selfgen").warning("an answer: %s", CONTROLS)
    said = capsys.readouterr().err
    assert "an answer: a␀b␛[31mred␇" in said
    assert not {*said} & {*map(chr, range(32)), *map(chr, range(127, 160))} - {"\n"}
