"""Bugs that look like exposure bias: what is looked at before any number is believed."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from selfgen.data.examples import Example
from selfgen.data.turns import turns
from selfgen.evaluation.statistics import Interval
from selfgen.generation import ends
from selfgen.measures import variants
from selfgen.measures.base import Measure, Row, difference, quotient
from selfgen.measures.spec import Check
from selfgen.mixing.rows import IGNORE

SELDOM = 0.05
"""A share of answers below which something does not happen by chance alone."""

LIKELY = 0.5
"""A share of answers from which on something is the rule."""

CHEAPER = 0.98
"""Another form of the prompt is better where its cost is below this share."""


def check(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    rows: Mapping[str, Row],
    training_rows: Iterable[Mapping[str, Any]] = (),
    shared: Collection[int] = (),
) -> list[Check]:
    """All checks that apply; ``rows`` by prompt id, ``training_rows`` with ``input_ids``,
    ``labels`` (-100: not asked) and, where they are padded, ``attention_mask``;
    ``shared``: the ids that mean the same to an oracle."""
    found = [
        _vocabulary(tokenizer, shared),
        _adapters(model),
        _bos(tokenizer, examples),
        _ends(tokenizer, rows),
        _turn_end(model, tokenizer, rows),
        _cut(rows),
        *_forms(rows),
        *_labels(model, tokenizer, list(training_rows)),
    ]
    return [one for one in found if one is not None]


def _vocabulary(tokenizer: Any, shared: Collection[int]) -> Check | None:
    """An oracle reads the model's tokens; its own tokenizer may split the same text
    otherwise, which nothing here would show."""
    if not shared:
        return None
    said = (
        f"{len(shared)} of the model's {len(tokenizer.get_vocab())} tokens are the oracle's,"
        " under the same ids; errors are over these. How its tokenizer would split the texts"
        " (its merges) is not compared: it reads the model's tokens"
    )
    return Check("oracle's vocabulary", True, said)


def _adapters(model: Any) -> Check | None:
    """LoRA's B starts at 0: where all are, nothing was trained, or nothing was loaded."""
    layers = [
        (name, weight)
        for name, weight in model.named_parameters()
        if ".lora_B." in name or ".lora_embedding_B." in name
    ]
    name = "adapter"
    if not layers:
        return None
    if all(not weight.any() for _, weight in layers):
        return Check(
            name, False, "the adapter changes nothing: all its B weights are 0"
        )
    off = [m for m in model.modules() if getattr(m, "disable_adapters", False) is True]
    if off:
        return Check(name, False, "the adapter is there and switched off")
    return Check(name, True, f"{len(layers)} layers have one that is not 0")


def _bos(tokenizer: Any, examples: Sequence[Example]) -> Check | None:
    bos = tokenizer.bos_token_id
    if bos is None:
        return None
    twice = sum(list(e.prompt_ids[:2]) == [bos, bos] for e in examples)
    said = f"{twice} of {len(examples)} prompts begin with two"
    return Check("begin of text", not twice, said)


def _ends(tokenizer: Any, rows: Mapping[str, Row]) -> Check:
    """Whether answers end, and what the model gives the end where the reference has it."""
    closed = [row for row in rows.values() if row["reference_ended"]]
    # Where a reference is cut, an answer may be as long.
    looked_at = closed or list(rows.values())
    n = len(looked_at)
    greedy = sum(row["answer_ended"] for row in looked_at)
    drawn = sum(row["sample_ended"] for row in looked_at)
    sure = [row["end_probability"] for row in closed]
    end = ends.named(frozenset({turns(tokenizer).end}), tokenizer)
    said = f"{greedy} of {n} greedy answers and {drawn} of {n} samples end; "
    if sure:
        mean = sum(sure) / len(sure)
        said += f"where the reference ends, {end} has probability {mean:.3f}"
    else:
        said += "no reference ends"
    if closed and max(greedy, drawn) < SELDOM * n and mean < LIKELY:
        return Check(
            "end of answers",
            False,
            f"the model never ends: {said}. Its training rows may leave the label of the end"
            " out, for instance where the padding token is the end token",
        )
    return Check("end of answers", True, said)


def _turn_end(model: Any, tokenizer: Any, rows: Mapping[str, Row]) -> Check | None:
    """A control token that the model closes answers with, and that nothing stops at."""
    stops = ends.stops(model, tokenizer)
    choices = Counter(
        row["end_choice"] for row in rows.values() if row["end_choice"] is not None
    )
    if not choices:
        return None
    total = sum(choices.values())
    token, count = choices.most_common(1)[0]
    text = tokenizer.convert_ids_to_tokens(token)
    said = (
        f"after the reference's last word its first choice is {text!r} in {count} of"
        f" {total}"
    )
    control = token in turns(tokenizer).special and token not in stops
    if control and count >= LIKELY * total:
        return Check(
            "turn end",
            False,
            f"{said}, which ends no turn: allowed are {ends.named(stops, tokenizer)}, of the"
            " chat template and of generation_config.eos_token_id",
        )
    return Check("turn end", True, said)


def _cut(rows: Mapping[str, Row]) -> Check:
    cut = sum(not row["reference_ended"] for row in rows.values())
    said = f"{cut} of {len(rows)} references are longer than max_answer_tokens"
    return Check("references", cut < LIKELY * len(rows), said)


def _forms(rows: Mapping[str, Row]) -> list[Check]:
    """Other forms of the prompt, held against the one that is asked in."""
    found = []
    for name, words in variants.NAMES.items():
        column = f"nll_{name}"
        some = {i: row for i, row in rows.items() if row[column] is not None}
        if not some:
            continue
        own, other = (
            {
                0: {
                    i: {"cost": cost(row), "n": len(row["nll"]) - 1}
                    for i, row in some.items()
                }
            }
            for cost in (_as_asked, operator.itemgetter(column))
        )
        gap = difference(_COST, other, own, 0.95)
        mean, left = (
            sum(row["cost"] for row in side[0].values())
            / sum(row["n"] for row in side[0].values())
            for side in (own, other)
        )
        better = _surely_less(gap) and left < CHEAPER * mean
        said = (
            f"the reference costs {left:.2f} nats a token {words}, {mean:.2f} as it is"
            " asked"
        )
        if better:
            said += (
                ": the model was trained on another form of prompts than it is asked in"
            )
        found.append(Check(f"prompt {words}", not better, said))
    return found


def _as_asked(row: Row) -> float:
    return math.fsum(row["nll"][:-1])


_COST = Measure(
    *("checks", "cost", "cost", "nats", "", ""),
    adds=lambda row: [row["cost"], row["n"]],
    value=quotient,
)


def _surely_less(gap: Interval | None) -> bool:
    return gap is not None and gap.high < 0


def _labels_end(
    row: Mapping[str, Any], stops: Collection[int], tokenizer: Any
) -> bool | None:
    """Whether the end of a row's answer has a label; None where the row has no end.

    Looked at are its last stops, with nothing but white space between them: the last ones
    may be padding, the first one the model's own token in a mixed context, where an end may
    stand in the labels alone. The end of a prompt's turn, which may have a label where that
    of the answer has none, stands before.
    """
    ids, labels = list(row["input_ids"]), list(row["labels"])
    mask = row.get("attention_mask")
    real = [True] * len(ids) if mask is None else list(mask)
    found = None
    for i, label, there in zip(ids[::-1], labels[::-1], real[::-1], strict=True):
        if there and (i in stops or label in stops):
            found = bool(found) or label in stops
        elif found is not None and tokenizer.decode([i]).strip():
            break
    return found


def _labels(
    model: Any, tokenizer: Any, rows: Sequence[Mapping[str, Any]]
) -> list[Check]:
    """Of rows that a model was trained on: which tokens have a label. Labels of the prompt
    are a choice, which is told."""
    if not rows:
        return []
    stops, bos, n = ends.stops(model, tokenizer), tokenizer.bos_token_id, len(rows)
    ids = [list(row["input_ids"]) for row in rows]
    labels = [list(row["labels"]) for row in rows]
    closed = [_labels_end(row, stops, tokenizer) for row in rows]
    has_end = sum(one is not None for one in closed)
    labelled = sum(bool(one) for one in closed)
    none = sum(all(x == IGNORE for x in own[1:]) for own in labels)
    whole = sum(own[1:2] not in ([IGNORE], []) for own in labels)
    twice = sum(bos is not None and own[:2] == [bos, bos] for own in ids)
    name = ends.named(stops, tokenizer)
    return [
        Check(
            "labels: end",
            labelled >= LIKELY * n,
            f"the training rows label {name} in {labelled} of {n} answers, and have it in"
            f" {has_end}",
        ),
        Check(
            "labels: none",
            none < SELDOM * n,
            f"{none} of {n} training rows have no label at all",
        ),
        Check(
            "labels: prompt",
            True,
            f"{whole} of {n} training rows label the prompt, too",
        ),
        Check(
            "labels: begin of text",
            not twice,
            f"{twice} of {n} training rows begin with two",
        ),
    ]
