"""How answers degenerate: repetition, few distinct n-grams, answers that are alike, too long
or without an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from selfgen.core.hashing import unit
from selfgen.measures.base import Measure, Row, quotient

GROUP = "degeneration"
OTHERS = 32
"""Answers that one is held against for self-BLEU."""

SIDES = {
    "answer": "greedy answers",
    "sample": "samples",
    "reference": "references",
}

NGRAMS = (1, 2)
"""Tokens of the n-grams that are counted over all answers, as Li et al. do."""


def ngrams(ids: Sequence[int], n: int) -> list[tuple[int, ...]]:
    """All n-grams of an answer, in order."""
    return [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]


def distinct(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """``distinct_N_SIDE`` by prompt: its part of the distinct n-grams of all answers, and its
    tokens; the sums of both give distinct-n (Li et al. 2016). None where all answers have
    fewer tokens than are read.

    More tokens have fewer distinct n-grams for each, so as many are read of every model and
    of the references: half of what these have, from answers in the order of a hash. Of an
    n-gram that one answer alone has that answer has the part; of all others each has one by
    its tokens. So the parts differ by what distinct-n would lose without an answer, and its
    interval is that of the jackknife.
    """
    rows = sorted(rows, key=lambda row: unit(row["id"], "distinct"))
    tokens = sum(len(row["reference_ids"]) for row in rows) // 2
    found: dict[str, dict[str, Any]] = {row["id"]: {} for row in rows}
    for side in SIDES:
        left, answers = tokens, []
        for row in rows:
            answers.append(row[f"{side}_ids"][:left])
            left -= len(answers[-1])
        for n in NGRAMS:
            parts = _parts(answers, n) if tokens and not left else []
            for row, part in zip_longest(rows, parts):
                found[row["id"]][f"distinct_{n}_{side}"] = part
    return found


def _parts(answers: Sequence[Sequence[int]], n: int) -> list[list[float]]:
    """Of each answer: its part of the distinct n-grams of all, and its tokens."""
    own = [set(ngrams(ids, n)) for ids in answers]
    having = Counter(gram for grams in own for gram in grams)
    alone = [sum(having[gram] == 1 for gram in grams) for grams in own]
    shared = (len(having) - sum(alone)) / sum(map(len, answers))
    return [
        [only + shared * len(ids), float(len(ids))]
        for only, ids in zip(alone, answers, strict=True)
    ]


def self_bleu(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """``self_bleu_SIDE`` by prompt: BLEU of an answer against those to other prompts, by
    ``sacrebleu``, 0..1 (Zhu et al. 2018)."""
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(effective_order=True)
    rows = sorted(rows, key=lambda row: unit(row["id"], "self-bleu"))
    found: dict[str, dict[str, float]] = {row["id"]: {} for row in rows}
    if len(rows) < 2:
        return found
    for side in SIDES:
        # Samples stop where references are cut.
        column = "reference_text" if side == "reference" else side
        texts = [row[column] for row in rows]
        for place, row in enumerate(rows):
            others = [*texts[place + 1 :], *texts[:place]][:OTHERS]
            score = bleu.sentence_score(texts[place], others).score
            found[row["id"]][f"self_bleu_{side}"] = score / 100
    return found


def beside_others(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows of a model, each with what takes all answers to know: ``self_bleu``,
    ``distinct``."""
    rows = list(rows)
    alike, many = self_bleu(rows), distinct(rows)
    return [row | alike[row["id"]] | many[row["id"]] for row in rows]


def _of(
    name: str,
    title: str,
    unit: str,
    source: str,
    definition: str,
    cannot: str,
    adds: Callable[[Row], Sequence[float] | None],
    *,
    better: int,
    share: bool = True,
) -> Measure:
    percent = unit == "%"
    return Measure(
        GROUP,
        name,
        title,
        unit,
        source,
        cannot,
        adds,
        quotient,
        share=share,
        better=better,
        scale=100 if percent else 1,
        digits=1 if percent else 2,
        definition=definition,
    )


def _repeated(row: Row, side: str) -> list[float] | None:
    """4-grams that stood before in the same answer, and all."""
    grams = ngrams(row[f"{side}_ids"], 4)
    return [float(len(grams) - len(set(grams))), float(len(grams))] if grams else None


def _distinct(n: int, side: str, words: str) -> Measure:
    return _of(
        f"distinct_{n}_{side}",
        f"distinct-{n}, {words}",
        "%",
        "Li et al. 2016",
        f"Distinct {n}-grams of all answers together, over their tokens. More tokens have"
        " fewer for each, so as many are read of every model and of the references: half of"
        " what these have, from answers in the order of a hash. Left out where all answers"
        " have fewer. Interval: jackknife over prompts.",
        "It does not show quality: noise has the most. With other data it does not compare.",
        lambda row: row.get(f"distinct_{n}_{side}"),
        better=0,
    )


def _side(side: str, words: str) -> list[Measure]:
    # None has a good side: noise repeats nothing. The references' own value is the mark.
    found = [
        _of(
            f"repetition_{side}",
            f"4-grams that stood before, {words}",
            "%",
            "after Welleck et al. 2020",
            "Of all 4-grams of all answers those that stood before in the same answer."
            " Welleck et al. take the mean of each answer's share.",
            "It does not show quality: a right answer may repeat its own words, too.",
            lambda row: _repeated(row, side),
            better=0,
        ),
        *(_distinct(n, side, words) for n in NGRAMS),
        _of(
            f"self_bleu_{side}",
            f"self-BLEU, {words}",
            "%",
            "after Zhu et al. 2018",
            f"BLEU of an answer, held against those to {OTHERS} other prompts, or to all"
            " where there are fewer, as its references (sacrebleu, up to 4-grams); the mean"
            " over prompts. Zhu et al. hold it against all others.",
            "It shows no more than likeness, which like prompts cause, too. Its interval"
            " takes the other answers as they are.",
            lambda row: (
                [row[f"self_bleu_{side}"], 1.0] if f"self_bleu_{side}" in row else None
            ),
            better=0,
        ),
    ]
    if side != "reference":
        found += [
            _of(
                f"ended_{side}",
                f"answers that end, {words}",
                "%",
                "",
                "Answers that end, within the tokens that an answer may have, over all.",
                "It does not show whether they end where they should.",
                lambda row: [float(row[f"{side}_ended"]), 1.0],
                better=1,
            ),
            _of(
                f"length_{side}",
                f"tokens over the reference's, {words}",
                "ratio",
                "",
                "Tokens of all answers over those of all references, both as far as they are"
                " read.",
                "It does not show quality.",
                lambda row: [len(row[f"{side}_ids"]), len(row["reference_ids"])],
                better=0,
                share=False,
            ),
        ]
    return found


MEASURES = tuple(m for side, words in SIDES.items() for m in _side(side, words))
