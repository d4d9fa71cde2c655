"""Each mix on hand-worked examples: the random control, drafts, pairs, own functions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from selfgen.core import own_code
from selfgen.core.errors import UserError
from selfgen.core.spec import Steps
from selfgen.data.examples import Example
from selfgen.data.prompts import PromptSpec
from selfgen.methods import METHODS, TRAINED
from selfgen.methods.rac import Hint, cut, neighbours
from selfgen.mixing.build import mix
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.spec import RowsSpec
from tests.golden.conftest import words

PROMPT = PromptSpec("{prompt}", "again", 100, 6)
EOS = 2


def rows_by(name: str, **keys: Any) -> Mix:
    """How a method makes its rows."""
    return TRAINED[name].mixed_by(mix=name, **keys)


SPEC = RowsSpec(
    seed=0,
    rows=(0, 2),
    epochs=1,
    batch_size=2,
    prompt=PROMPT,
    method=rows_by("bash"),
)


WORDS = words(
    100,
    "{% for m in messages %}<1> {{ '90' if m['content'] == 'again' else m['content'] }}"
    " {% endfor %}{% if add_generation_prompt %}3 {% endif %}",
)
"""A turn begins with 1."""

# Answers use 21 twice, 22 once, 23 once and 24 once, and EOS, which is special.
EXAMPLES = [
    Example("a", "10 11", [1, 10, 11, 3], [21, 22, 23, EOS]),
    Example("b", "12", [1, 12, 3], [21, 24, EOS]),
]


def passed(*rows: tuple[str, int, Any]) -> list[dict[str, Any]]:
    key = "text" if isinstance(rows[0][2], str) else "tokens"
    return [{"id": i, "epoch": epoch, key: value} for i, epoch, value in rows]


MIXED = passed(("a", 0, [21, 99, 23, EOS]), ("b", 0, [24, 24, EOS]))
DRAFTS = passed(("a", 0, "21 98 97"), ("b", 0, "24"))


def made(
    spec: RowsSpec[Mix], rows: list[dict[str, Any]], **extra: Any
) -> dict[str, Any]:
    found = mix(EXAMPLES, rows, spec, WORDS, **extra)
    return {row["id"] + row.get("role", ""): row for row in found}


def test_bash_reads_the_pass() -> None:
    rows = made(SPEC, MIXED)
    assert rows["a"]["input_ids"] == [1, 10, 11, 3, 21, 99, 23, EOS]
    assert rows["a"]["labels"] == [-100] * 4 + [21, 22, 23, EOS]
    assert rows["b"]["input_ids"] == [1, 12, 3, 24, 24, EOS]


def test_prompts_may_be_asked_for_too() -> None:
    """Never the draft, nor the turn after it (1 90); the prompt of a correction row is
    followed by the draft, not by the opening of an answer (3)."""
    rows = made(replace(SPEC, loss="all"), MIXED)
    assert rows["a"]["labels"] == [1, 10, 11, 3, 21, 22, 23, EOS]
    assert rows["b"]["labels"] == [1, 12, 3, 21, 24, EOS]
    spec = replace(SPEC, method=rows_by("rac", correction_share=1.0), loss="all")
    row = made(spec, DRAFTS)["a"]
    assert row["input_ids"] == [1, 10, 11, 1, 21, 98, 97, 1, 90, 3, 21, 22, 23, EOS]
    assert row["labels"] == [1, 10, 11] + [-100] * 7 + [21, 22, 23, EOS]


@pytest.mark.parametrize("seed", range(5))
def test_random_replaces_exactly_where_bash_differs(seed: int) -> None:
    spec = replace(SPEC, seed=seed)
    bash, random = (
        made(spec, MIXED),
        made(replace(spec, method=rows_by("random")), MIXED),
    )
    for name in ("a", "b"):
        plain = made(replace(spec, method=rows_by("plain")), [])[name]["input_ids"]
        differs = [
            [x != y for x, y in zip(rows[name]["input_ids"], plain, strict=True)]
            for rows in (bash, random)
        ]
        assert differs[0] == differs[1]
        assert bash[name]["labels"] == random[name]["labels"]
    # The drawn 99 is no token of the answers, so it cannot come back.
    assert random["a"]["input_ids"][5] in (21, 23, 24)
    assert random["b"]["input_ids"][3] in (22, 23, 24)


def test_random_tokens_follow_the_unigrams_without_the_reference() -> None:
    """At b's first position the reference is 21: of the rest 22, 23 and 24 are equally
    frequent. At a's second it is 22: 21 is twice as frequent as 23 and as 24."""
    counts: dict[str, Counter[int]] = {"a": Counter(), "b": Counter()}
    for seed in range(3000):
        rows = made(replace(SPEC, method=rows_by("random"), seed=seed), MIXED)
        counts["a"][rows["a"]["input_ids"][5]] += 1
        counts["b"][rows["b"]["input_ids"][3]] += 1
    for token, share in ((21, 1 / 2), (23, 1 / 4), (24, 1 / 4)):
        assert abs(counts["a"][token] / 3000 - share) < 0.04
    for token in (22, 23, 24):
        assert abs(counts["b"][token] / 3000 - 1 / 3) < 0.04


BEHIND = rows_by("bash", loss_on="behind-changed")


def test_rows_without_a_label_are_left_out_and_counted() -> None:
    """Of two epochs a changes in the first alone and b never; a step a row. So of four
    steps one is left, and its number is 0."""
    spec = replace(SPEC, method=BEHIND, epochs=2, batch_size=1)
    own = passed(
        ("a", 0, [21, 99, 23, EOS]),
        ("a", 1, [21, 22, 23, EOS]),
        ("b", 0, [21, 24, EOS]),
        ("b", 1, [21, 24, EOS]),
    )
    facts: Counter[str] = Counter()
    (row,) = mix(EXAMPLES, own, spec, WORDS, facts=facts)
    assert (row["step"], row["id"], row["epoch"]) == (0, "a", 0)
    assert row["labels"] == [-100] * 6 + [23, EOS]
    assert facts == {"rows_left_out": 3, "steps_left_out": 3}
    # In a step of both, b's row alone is left out.
    facts = Counter()
    together = replace(spec, epochs=1, batch_size=2)
    (row,) = mix(EXAMPLES, [own[0], own[2]], together, WORDS, facts=facts)
    assert (row["step"], row["id"]) == (0, "a")
    assert facts == {"rows_left_out": 1}
    # Where the prompts are asked for too, it has labels.
    whole = mix(EXAMPLES, [own[0], own[2]], replace(together, loss="all"), WORDS)
    assert {row["id"] for row in whole} == {"a", "b"}


def test_a_pass_that_changes_nothing_leaves_no_label() -> None:
    own = passed(("a", 0, [21, 22, 23, EOS]), ("b", 0, [21, 24, EOS]))
    with pytest.raises(UserError, match="no token differs from the reference"):
        made(replace(SPEC, method=BEHIND), own)


MASKED = rows_by("random", tokens="mask")


def with_tokens(**named: str) -> Any:
    """A tokenizer as ``WORDS``, whose control tokens have names."""
    tokenizer = words(100, WORDS.chat_template)
    for name, token in named.items():
        setattr(tokenizer, f"{name}_token", token)
    return tokenizer


@pytest.mark.parametrize(
    ("named", "token"),
    [
        ({"mask": "<1>", "unk": "<0>", "pad": "5"}, 1),
        ({"unk": "<0>", "pad": "5"}, 0),
        ({"pad": "5"}, 5),
        ({"mask": "<2>", "pad": "<0>"}, 0),
    ],
)
def test_masked_rows_read_one_token_exactly_where_bash_differs(
    named: dict[str, str], token: int
) -> None:
    """Mask, else unk, else pad; EOS, which ends turns, never."""
    spec = replace(SPEC, method=MASKED)
    found = mix(EXAMPLES, MIXED, spec, with_tokens(**named))
    rows = {row["id"]: row for row in found}
    assert rows["a"]["input_ids"] == [1, 10, 11, 3, 21, token, 23, EOS]
    assert rows["b"]["input_ids"] == [1, 12, 3, token, 24, EOS]
    assert rows["a"]["labels"] == [-100] * 4 + [21, 22, 23, EOS]
    assert rows["b"]["labels"] == [-100] * 3 + [21, 24, EOS]


@pytest.mark.parametrize("named", [{}, {"unk": "<2>", "pad": "<2>"}])
def test_without_a_token_to_mask_with(named: dict[str, str]) -> None:
    with pytest.raises(UserError, match="mask, unk or pad token that ends no turn"):
        mix(EXAMPLES, MIXED, replace(SPEC, method=MASKED), with_tokens(**named))


def test_rac_reads_draft_and_turn() -> None:
    rows = made(replace(SPEC, method=rows_by("rac", correction_share=1.0)), DRAFTS)
    context = [1, 10, 11, 1, 21, 98, 97, 1, 90, 3]
    assert rows["a"]["input_ids"] == [*context, 21, 22, 23, EOS]
    assert rows["a"]["labels"] == [-100] * len(context) + [21, 22, 23, EOS]


def test_correction_rows_may_come_on_top() -> None:
    """Each step has its plain rows as they are in continued SFT, and behind that of an
    example its correction row, where it has one."""
    spec = replace(SPEC, batch_size=1, epochs=20)
    drafts = passed(
        *[
            (i, e, text)
            for i, text in (("a", "21 98 97"), ("b", "24"))
            for e in range(20)
        ]
    )
    plain = mix(EXAMPLES, [], replace(spec, method=rows_by("plain")), WORDS)
    for share in (0.0, 0.5, 1.0):
        keys = {"correction_share": share}
        instead, added = (
            mix(
                EXAMPLES,
                drafts,
                replace(spec, method=rows_by("rac", correction_rows=how, **keys)),
                WORDS,
            )
            for how in ("replace", "add")
        )
        longer = [row for row in instead if row not in plain]
        assert [row for row in added if row in plain] == plain
        assert [row for row in added if row not in plain] == longer
        assert len(added) == len(plain) + len(longer)
        assert [row["step"] for row in added] == sorted(row["step"] for row in added)
        assert len(longer) == {0.0: 0, 1.0: 40}.get(share, len(longer))
    assert added[0]["id"] == added[1]["id"] and added[1]["step"] == 0


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.2, []), (0.5, [21, 22]), (0.75, [21, 22, 23]), (1.0, [21, 22, 23])],
)
def test_a_hint_tells_the_beginning_of_the_reference(
    share: float, told: list[int]
) -> None:
    """Of a's four tokens, the last of which is EOS; a fifth of them is not one."""
    hint = {"share": share, "text": " 50 {hint} 51"}
    method = rows_by("rac", correction_share=1.0, hint=hint)
    # The template of WORDS writes 90 for the turn "again" alone.
    row = made(
        replace(SPEC, prompt=replace(PROMPT, correction="80"), method=method), DRAFTS
    )
    said = [80, *([50, *told, 51] if told else [])]
    context = [1, 10, 11, 1, 21, 98, 97, 1, *said, 3]
    assert row["a"]["input_ids"] == [*context, 21, 22, 23, EOS]
    assert row["a"]["labels"] == [-100] * len(context) + [21, 22, 23, EOS]


def test_a_hint_must_stand_in_its_text() -> None:
    with pytest.raises(UserError, match=r"text: found no \{hint\}"):
        Hint(share=0.5, text="It begins.")


def test_the_cost_of_correction_rows() -> None:
    """Prompts of 10 tokens and answers of 5: a correction row reads prompt, draft, turn and
    answer, 52 tokens; a plain one 15."""
    own = {"label": "RAC", "mix": "rac", "parent": "sft", "stage": "second"}
    for how, tokens in (("replace", (15 + 52) / 2), ("add", 15 + 52 / 2)):
        rac = METHODS["rac"](**own, correction_rows=how)
        assert abs(rac.cost(10, 5).trained - tokens) <= 1


def test_rac_with_the_draft_of_another_example() -> None:
    spec = replace(SPEC, method=rows_by("rac", correction_share=1.0, drafts="another"))
    rows = made(spec, DRAFTS)
    assert rows["a"]["input_ids"][:7] == [1, 10, 11, 1, 24, 1, 90]
    assert rows["b"]["input_ids"][:8] == [1, 12, 1, 21, 98, 97, 1, 90]


def test_nobody_is_its_own_neighbour() -> None:
    many = [Example(f"e{i}", "1", [1], [5, EOS]) for i in range(50)]
    found = neighbours(Mixing(SPEC, WORDS, many, {}, {}))
    assert sorted(found) == list(range(50))
    assert all(i != j for i, j in enumerate(found))


@pytest.mark.parametrize(
    ("u", "expected"),
    [(0.0, "a"), (0.33, "a"), (0.34, "a b"), (0.67, "a b c"), (0.999, "a b c")],
)
def test_a_draft_is_cut_after_a_random_word(u: float, expected: str) -> None:
    assert cut("a b c", u) == expected
    assert cut("", u) == ""


def test_rac_with_drafts_of_random_length() -> None:
    lengths = set()
    for seed in range(40):
        spec = replace(
            SPEC, method=rows_by("rac", correction_share=1.0, draft_length="random")
        )
        rows = made(replace(spec, seed=seed), DRAFTS)
        ids = rows["a"]["input_ids"]
        draft = ids[4 : ids.index(90) - 1]
        assert draft == [21, 98, 97][: len(draft)]
        lengths.add(len(draft))
    assert lengths == {1, 2, 3}


def test_spin_pairs_the_reference_with_the_own_answer() -> None:
    rows = made(replace(SPEC, method=rows_by("spin")), DRAFTS)
    assert rows["achosen"]["input_ids"] == [1, 10, 11, 3, 21, 22, 23, EOS]
    assert rows["arejected"]["input_ids"] == [1, 10, 11, 3, 21, 98, 97, EOS]
    assert rows["arejected"]["labels"] == [-100] * 4 + [21, 98, 97, EOS]
    assert rows["achosen"]["step"] == rows["arejected"]["step"]


DPO = rows_by("dpo", candidates=3)
CANDIDATES = passed(*[(i, e, f"5{e}") for i in "ab" for e in range(3)])


def test_dpo_pairs_the_best_with_the_worst() -> None:
    spec = replace(SPEC, method=DPO)
    grades = {("a", 0): 0.5, ("a", 1): 0.9, ("a", 2): 0.1}
    grades |= {("b", e): 0.5 for e in range(3)}
    rows = made(spec, CANDIDATES, grades=grades)
    assert set(rows) == {"achosen", "arejected"}
    assert rows["achosen"]["input_ids"] == [1, 10, 11, 3, 51, EOS]
    assert rows["arejected"]["input_ids"] == [1, 10, 11, 3, 52, EOS]


def test_dpo_counts_steps_without_gaps() -> None:
    spec = replace(SPEC, method=DPO, batch_size=1)
    for tied, other in ("ab", "ba"):
        grades = {(tied, e): 0.5 for e in range(3)} | {
            (other, e): e / 2 for e in range(3)
        }
        found = mix(EXAMPLES, CANDIDATES, spec, WORDS, grades=grades)
        assert [(row["id"], row["step"]) for row in found] == [(other, 0)] * 2


def test_dpo_takes_near_grades_for_equal() -> None:
    """The first of the best and the last of the worst, whatever rounding says."""
    spec = replace(SPEC, method=DPO)
    grades = {("a", 0): 0.5, ("a", 1): 0.50001, ("a", 2): 0.1}
    grades |= {("b", e): 0.5 + e / 1e5 for e in range(3)}
    rows = made(spec, CANDIDATES, grades=grades)
    assert set(rows) == {"achosen", "arejected"}
    assert rows["achosen"]["input_ids"] == [1, 10, 11, 3, 50, EOS]
    assert rows["arejected"]["input_ids"] == [1, 10, 11, 3, 52, EOS]


def test_dpo_without_any_pair() -> None:
    grades = {(i, e): 1.0 for i in "ab" for e in range(3)}
    with pytest.raises(UserError, match="the same grade"):
        made(replace(SPEC, method=DPO), CANDIDATES, grades=grades)


def test_a_round_has_its_part_of_the_steps() -> None:
    spec = replace(SPEC, method=rows_by("plain"), batch_size=1, epochs=2)
    whole = mix(EXAMPLES, [], spec, WORDS)
    parts = [
        mix(EXAMPLES, [], replace(spec, steps=Steps(a, b, 4)), WORDS)
        for a, b in ((0, 1), (1, 4))
    ]
    assert parts[0] + parts[1] == whole
    assert [row["step"] for row in parts[1]] == [1, 2, 3]


def test_as_many_steps_as_the_time_allows() -> None:
    """Rows of 8 and 6 tokens: the step that reaches the budget is the last one, and the
    plan of the stage is kept as far as it goes."""
    spec = replace(SPEC, method=rows_by("plain"), batch_size=1, epochs=1)
    plan = mix(EXAMPLES, [], replace(spec, epochs=4), WORDS)
    for tokens in (1, 14, 15, 28, 29):
        found = mix(EXAMPLES, [], spec, WORDS, tokens=tokens)
        read = [len(row["input_ids"]) for row in found]
        assert sum(read) >= tokens > sum(read[:-1])
        assert found == plan[: len(found)]


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "def masked(mixing, i, epoch):\n"
        "    example = mixing.examples[i]\n"
        "    row = {'input_ids': example.prompt_ids + example.answer_ids}\n"
        "    row['labels'] = [-100] * len(example.prompt_ids) + example.answer_ids\n"
        "    row['attention_mask'] = [1] * len(row['labels'])\n"
        "    return [row]\n"
        "def empty(mixing, i, epoch):\n"
        "    return [{'input_ids': [1, 2], 'labels': [-100, -100]}]\n"
    )
    spec = replace(SPEC, method=rows_by("custom", function="own.py:masked"))
    rows = made(spec, [], function=own_code.function(f"{file}:masked", "function"))
    assert rows == made(replace(SPEC, method=rows_by("plain")), [])
    with pytest.raises(UserError, match=r"row of . has no label"):
        made(spec, [], function=own_code.function(f"{file}:empty", "function"))
    with pytest.raises(UserError, match="has no function nothing"):
        own_code.function(f"{file}:nothing", "function")
    with pytest.raises(UserError, match="No such file"):
        own_code.function(f"{tmp_path / 'none.py'}:masked", "function")


def test_every_method_is_registered_by_its_mix() -> None:
    tags = {name: kind.model_fields["mix"].annotation for name, kind in METHODS.items()}
    assert all(get_args(tag) == (name,) for name, tag in tags.items())
    kinds = {
        name: get_args(kind.mixed_by.model_fields["mix"].annotation)
        for name, kind in TRAINED.items()
    }
    assert kinds == {name: (name,) for name in METHODS if name != "none"}


def test_the_keys_of_rows_are_keys_of_the_method() -> None:
    """So an entry of the configuration decides them; a task's metric and its data set do the
    rest."""
    for name, kind in TRAINED.items():
        more = set(kind.mixed_by.model_fields) - set(kind.model_fields)
        graded = {"metric", "column"} if kind.graded else set()
        assert more == graded | ({"dataset"} if kind.checked else set()), name
        assert not {"label", "decodings"} & set(kind.mixed_by.model_fields), name


def test_given_pairs_have_no_more_tokens_than_allowed() -> None:
    """Prompts of 4 and 3 tokens and 6 in all: answers of at most 2 and 3."""
    spec = replace(SPEC, method=rows_by("pairs"))
    rejected = passed(("a", 0, "31 32 33"), ("b", 0, "34"))
    rows = made(spec, rejected)
    assert rows["achosen"]["input_ids"] == [1, 10, 11, 3, 21, 22]
    assert rows["achosen"]["labels"] == [-100] * 4 + [21, 22]
    assert rows["arejected"]["input_ids"] == [1, 10, 11, 3, 31, 32]
    assert rows["bchosen"]["input_ids"] == [1, 12, 3, 21, 24, EOS]
    assert rows["brejected"]["input_ids"] == [1, 12, 3, 34, EOS]
