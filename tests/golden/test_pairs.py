"""Judge prompts, judgments and wins, by hand; and what a table makes of them."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from selfgen.core.errors import UserError
from selfgen.judge import pairs
from selfgen.judge.client import Judge
from selfgen.judge.comparison import by_judge, matched
from selfgen.judge.pairs import (
    Pair,
    judged,
    judgment_of,
    ordered,
    request_of,
    template_of,
)
from selfgen.judge.prompt import JUDGE
from selfgen.judge.spec import ComparisonSpec, EndpointSpec, Limits
from selfgen.report.spec import Cell, TableSpec
from selfgen.report.tables.win_rates import WinRates, draw
from tests.judge_server import serve

SPEC = ComparisonSpec("test", 0, EndpointSpec("judge-1", "X"))
TEMPLATE = "P {{post}} | {{summarya}} | {{summaryb}}"
PAIRS = [Pair(f"i{n}", f"prompt {n}", f"own {n}", f"other {n}") for n in range(40)]


def test_the_order_has_an_address() -> None:
    """About half come first; the same ones whatever else is in the list, others under
    another seed; both orders are two pairs."""
    made = ordered(PAIRS, SPEC)
    first = {pair.id for pair in made if pair.first}
    assert [p.id for p in made] == [p.id for p in PAIRS] and 10 < len(first) < 30
    again = ordered(PAIRS[30:], SPEC)
    assert {p.id for p in again if p.first} == first & {p.id for p in PAIRS[30:]}
    other = ordered(PAIRS, replace(SPEC, seed=1))
    assert {pair.id for pair in other if pair.first} != first
    both = ordered(PAIRS[30:], replace(SPEC, orders="both"))
    assert [pair.first for pair in both] == [True, False] * 10


def test_every_answer_meets_its_opponent() -> None:
    """The reference, or the answer of another model; only of the split that is asked for."""
    records = [
        {"id": f"i{n}", "split": split, "prompt": f"p{n}", "reference": f"r{n}"}
        for n, split in enumerate(("test", "test", "train"))
    ]
    answers = [{"id": f"i{n}", "text": f"a{n}"} for n in range(3)]
    others = [{"id": f"i{n}", "text": f"o{n}"} for n in range(3)]
    found = matched(records, answers, None, "test")
    assert [(p.id, p.answer, p.opponent) for p in found] == [
        *(("i0", "a0", "r0"), ("i1", "a1", "r1")),
    ]
    found = matched(records, answers, others, "test")
    assert [(p.opponent, p.reference) for p in found] == [("o0", "r0"), ("o1", "r1")]
    with pytest.raises(UserError, match="1 answers without an opponent: i1"):
        matched(records, answers, others[:1], "test")
    with pytest.raises(UserError, match="found 1 to the 2 prompts of test"):
        matched(records, answers[:1], others, "test")
    with pytest.raises(UserError, match="found none of validation"):
        matched(records, answers, others, "validation")


def test_a_request_by_hand() -> None:
    """A text that holds a place is not filled in itself."""
    pair = Pair("i", " the {{summaryb}} \n", "own", "other", True)
    asked = request_of(pair, TEMPLATE, SPEC)
    assert asked["messages"][1]["content"] == "P the {{summaryb}} | own | other"
    turned = request_of(replace(pair, first=False), TEMPLATE, SPEC)
    assert turned["messages"][1]["content"].endswith("| other | own")
    assert (asked["temperature"], asked["max_tokens"]) == (0.0, 256)
    assert asked["messages"][0]["role"] == "system"


@pytest.mark.parametrize(
    "reply, judgment",
    [
        ("Comparison: A is shorter.\nPreferred: A", "A"),
        ("Comparison: x\nPreferred: B\n", "B"),
        ('Preferred: "B"', "B"),
        ("**Preferred:** A", "A"),
        ("Preferred: Summary A.", "A"),
        ("Preferred: A\nOn reflection:\nPreferred: B", "B"),
        ("Preferred: A or B", None),
        ("Preferred: Both", None),
        ("Preferred: neither", None),
        ("preferred: a", "A"),
        ("PREFERRED: b.", "B"),
        ("Preferred: A because it is shorter", "A"),
        ("Preferred: A, since B omits it", "A"),
        ("Preferred: B (shorter)", "B"),
        ("Preferred: B - it is right", "B"),
        ("Preferred: A over B", "A"),
        ("Preferred: <A>", "A"),
        ("Preferred:\nA", "A"),
        ("Preferred: A\r\n", "A"),
        ("Preferred: A\n\nB is longer.", "A"),
        ("The preferred answer is B.", "B"),
        ("Preferred response: [B]", "B"),
        ("Comparison: neither is good. Preferred: B", "B"),
        ("A is not what I want. Preferred: B", "B"),
        ("Most preferred: B", "B"),
        ("Preferred: B\nLeast preferred: A", "B"),
        ("Least preferred: A\nPreferred: B", "B"),
        ("Preferred: B. Least preferred: A", "B"),
        ("Least preferred: A", None),
        ("Least Preferred: A", None),
        ("**Least preferred:** A", None),
        ("The less preferred answer: A", None),
        ("Not preferred: A", None),
        ("Non-preferred: A", None),
        ("Dispreferred: A", None),
        ("Preferred: not A", None),
        ("Preferred: A/B", None),
        ("Preferred: A, B", None),
        ("Preferred: A (or B)", None),
        ("Preferred: <A or B>", None),
        ("Preferred: \u201cB\u201d", "B"),
        ("Preferred: \u3010A\u3011", "A"),
        ("__Preferred__: __B__", "B"),
        ("A is less clear - Preferred: B", "B"),
        ("Preferred: A \u2192 B", None),
        ("Preferred: A | B", None),
        ("Preferred: A tie", None),
        ("preferred: a tie", None),
        ("Preferred: A\nPreferred: both", None),
        ("A", None),
        ("", None),
    ],
)
def test_judgments(reply: str, judgment: str | None) -> None:
    assert judgment_of(reply) == judgment


@pytest.mark.parametrize(
    "piece", ["Preferred: A ", "Preferred:", "Preferred: A\n", "preferred", "\n", "*"]
)
def test_a_hostile_reply_takes_linear_time(piece: str) -> None:
    started = time.process_time()
    judgment_of("Preferred: " + piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 5


def test_wins_by_hand() -> None:
    """A wins for the answer where it came first; no judgment is no win and no loss, unless a
    coin is asked for."""
    made = [
        Pair("a", "p", "own words here", "other", True),
        Pair("b", "p", "own", "other", False),
        Pair("c", "p", "own", "other", False),
        Pair("d", "p", "own", "other", True),
    ]
    replies = ["Preferred: A", "Preferred: A", "Preferred: B", "who knows"]
    rows = judged(made, replies, SPEC)
    assert [row["won"] for row in rows] == [1.0, 0.0, 1.0, None]
    assert [row["judgment"] for row in rows] == ["A", "A", "B", ""]
    assert (rows[0]["words"], rows[0]["opponent_words"]) == (3, 1)
    coin = replace(SPEC, unparsable="coin")
    tossed = [judged([replace(made[3], id=f"d{n}")], ["?"], coin)[0] for n in range(99)]
    assert 30 < sum(row["won"] for row in tossed) < 70
    assert tossed == [
        judged([replace(made[3], id=f"d{n}")], ["?"], coin)[0] for n in range(99)
    ]
    assert not any(row["judgment"] for row in tossed)


def test_templates_of_files() -> None:
    """A text, or a text in a Python file, which is never run."""
    assert template_of(JUDGE) == JUDGE
    source = f'raise SystemExit\nother = 3\ntemplate = r"""{TEMPLATE}"""\n'
    assert template_of(source, "template") == TEMPLATE
    with pytest.raises(UserError, match="found no text named other"):
        template_of(source, "other")
    with pytest.raises(UserError, match="not a Python file"):
        template_of("a b c", "template")
    with pytest.raises(UserError, match=r"found no \{\{summaryb\}\}"):
        template_of("{{post}} {{summarya}}")
    assert set(pairs.PLACES) == {"{{post}}", "{{summarya}}", "{{summaryb}}"}


TABLE = TableSpec(
    kind="win-rates",
    name="win-rates-gpt",
    scale="x",
    columns=(),
    labels={"bash": "BASH"},
    baseline="bash",
    primary=(),
    confidence=0.95,
    cells=(Cell("s", "m", "bash", "direct", 0), Cell("s", "m", "bash", "direct", 1)),
    own=WinRates("gpt", "judge-1", "the reference", proxy="", coin=False),
)


def _row(name: str, first: bool, judgment: str) -> dict:
    won = None if not judgment else float((judgment == "A") == first)
    return {
        "id": name,
        "first": first,
        "judgment": judgment,
        "won": won,
        "words": 4,
        "opponent_words": 6,
    }


def test_the_table_by_hand() -> None:
    """Two seeds, three prompts, each in both orders. Wins by prompt and seed: a 1, b .5 and
    c 0 under seed 0; a 1, b 1 under seed 1, whose c has no judgment at all. The mean is over
    what was judged, 3.5 / 5."""
    zero = [
        *(_row("a", True, "A"), _row("a", False, "B")),
        *(_row("b", True, "A"), _row("b", False, "A")),
        *(_row("c", True, "B"), _row("c", False, "A")),
    ]
    one = [
        *(_row("a", True, "A"), _row("a", False, "B")),
        *(_row("b", True, "A"), _row("b", False, "")),
        *(_row("c", True, ""), _row("c", False, "")),
    ]
    found = draw([zero, one], TABLE).texts()
    header, line = (row.split(",") for row in found["csv"].splitlines())
    cells = dict(zip(header, line, strict=True))
    assert (cells["n"], cells["seeds"]) == ("3", "2")
    assert float(cells["win_rate"]) == pytest.approx(3.5 / 5)
    assert float(cells["unparsable"]) == pytest.approx(3 / 12)
    # A, of the nine judgments: a twice once, b twice once and once, c once.
    assert float(cells["first_preferred"]) == pytest.approx(6 / 9)
    # Four prompts have both orders: a, c under seed 0, a under seed 1 agree; b does not.
    assert float(cells["consistent"]) == pytest.approx(3 / 4)
    text = found["md"]
    assert "decided by judge-1" in text and "| s | BASH | 70.0" in text
    assert "25.0 | 66.7 | 75.0 | 4.0 | 6.0 |" in text


def test_a_cell_says_what_share_was_unparsable() -> None:
    """Above 5 %, and then it bears no mark, also where coins were tossed."""
    won = [_row(f"i{n}", True, "B" if n < 9 else "A") for n in range(95)]
    few = [*won, *(_row(f"u{n}", True, "") for n in range(4))]
    many = [*won, *(_row(f"u{n}", True, "") for n in range(6))]
    tossed = [*won, *(_row(f"u{n}", True, "") | {"won": 1.0} for n in range(6))]
    cells = tuple(Cell("s", "m", "bash", "direct", seed) for seed in range(3))
    spec = replace(TABLE, cells=cells)
    for rows, said in ((few, False), (many, True), (tossed, True)):
        texts = draw([rows, rows[1:], rows], spec).texts()
        (line,) = (x for x in texts["md"].splitlines() if "| BASH |" in x)
        assert ("; 6.0 % unparsable |" in line) == said == ("▲" not in line)
        assert ("6.0 \\% unparsable" in texts["tex"]) == said
        assert "Where more than 5 % are unparsable, the cell says so" in texts["md"]
    nothing = [_row("u", True, "")]
    with pytest.raises(UserError, match="found no judgment that names a winner"):
        draw([nothing, nothing], TABLE)


def test_a_table_names_another_model_than_was_asked() -> None:
    rows = [_row("a", True, "A") | {"by": ""}, _row("b", True, "A") | {"by": "cheap-1"}]
    text = draw([rows, rows], TABLE).texts()["md"]
    assert "Replies are by cheap-1, and not by the model that was asked." in text
    plain = [row | {"by": ""} for row in rows]
    assert "Replies are by" not in draw([plain, plain], TABLE).texts()["md"]


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    """Says what the summary A tells it to say, as the model ``cheap-1``."""

    def answer(body: dict) -> str:
        return body["messages"][-1]["content"].partition("| say ")[2].partition("|")[0]

    with serve(answer) as server:
        server.more = {"model": "cheap-1"}
        monkeypatch.setenv("X_BASE_URL", server.url)
        monkeypatch.setenv("X_API_KEY", "x")
        yield Judge(SPEC.endpoint, Limits(2, 0, 20.0, 0, 1.0, 1.0, 1.0), tmp_path)


def test_a_comparison_by_an_endpoint(judge: Judge) -> None:
    """Rows name the model that replied; replies that all name nobody are refused."""
    both = replace(SPEC, orders="both")
    said = [
        Pair(f"i{n}", "p", f"say {n} Preferred: A", "say nothing") for n in range(3)
    ]
    rows, facts = by_judge(said, both, judge, TEMPLATE)
    assert [row["judgment"] for row in rows] == ["A", ""] * 3
    assert {row["by"] for row in rows} == {"cheap-1"}
    assert (facts["unparsable"], facts["other_models"]) == (3, {"cheap-1": 6})
    mute = [Pair(f"i{n}", "p", f"say {n}", "say x") for n in range(3)]
    for unparsable in ("count", "coin"):
        with pytest.raises(
            UserError, match="judge-1: none of 6 replies names a winner"
        ):
            by_judge(mute, replace(both, unparsable=unparsable), judge, TEMPLATE)


def test_win_rates_are_exploratory_unless_they_were_declared() -> None:
    """Three seeds of twenty prompts, of which the model wins seventeen or so."""
    parts = [
        [_row(f"p{i}", True, "B" if i in (seed, 7, 9) else "A") for i in range(20)]
        for seed in range(3)
    ]
    cells = tuple(Cell("s", "m", "bash", "direct", seed) for seed in range(3))
    spec = replace(TABLE, cells=cells)
    text = draw(parts, spec).texts()["md"]
    assert "85.0 ▲<br>[" in text and "All comparisons are exploratory" in text
    declared = replace(spec, own=replace(spec.own, primary=True))
    text = draw(parts, declared).texts()["md"]
    assert "85.0 ▲▲<br>[" in text and "over the 1 primary comparisons" in text


def test_a_proxy_is_named_one() -> None:
    rows = [_row("a", True, "A") | {"first": None, "judgment": ""} for _ in range(2)]
    own = replace(TABLE.own, judge="the proxy p", proxy="the nearer answer wins.")
    text = draw([rows, rows], replace(TABLE, own=own)).texts()["md"]
    assert "A proxy, no judge: the nearer answer wins." in text
    assert "Unparsable" not in text


def test_rows_survive_a_file(tmp_path: Path) -> None:
    """None, numbers and texts in one column."""
    from selfgen.core.rows import read_rows, write_rows

    rows = judged([Pair("a", "p", "x", "y", True)] * 2, ["Preferred: A", "?"], SPEC)
    write_rows(tmp_path / "v.parquet", rows)
    assert json.dumps(read_rows(tmp_path / "v.parquet")) == json.dumps(rows)
