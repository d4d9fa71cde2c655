"""Against an oracle, a model that stands for the data: accumulated error (Arora et al. 2022,
arXiv 2204.01171), and continuations after own and after reference tokens (He et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from selfgen.evaluation.accumulated import enough, together
from selfgen.evaluation.statistics import divided
from selfgen.measures.base import Line, Measure, Row, Sums, quotient
from selfgen.measures.spec import CONTINUED

ARORA = "Arora et al. 2022"
HE = "He et al. 2021"


def _steps(values: Sequence[float], length: int) -> list[float]:
    """An error and a count for each of the first steps."""
    some = list(values[:length])
    rest = length - len(some)
    return [*some, *[0.0] * rest, *[1.0] * len(some), *[0.0] * rest]


def _sides(column: str, length: int) -> Callable[[Row], list[float] | None]:
    """Errors of the steps that an answer and its reference have (``accumulated.paired``); of
    answers of a fixed length: of prompts whose reference has as many tokens."""

    def adds(row: Row) -> list[float] | None:
        both = _both(row) if column == "free_kl" else _of_length(row, length)
        if both is None:
            return None
        return [x for errors in both for x in _steps(errors, length)]

    return adds


def _both(row: Row) -> list[Sequence[float]] | None:
    """Errors after own tokens and after the reference's, as far as both go."""
    free, gold = row.get("free_kl"), row.get("gold_kl")
    return together(free, gold) if free and gold else None


def _of_length(row: Row, length: int) -> list[Sequence[float]] | None:
    free, gold = row.get("fixed_kl"), row.get("gold_kl")
    return [free, gold] if free and gold and len(gold) >= length else None


def _as_far(row: Row, other: Row) -> Row:
    """A row, its own answer no longer than another model's."""
    free, others = row.get("free_kl"), other.get("free_kl")
    return {**row, "free_kl": free[: len(others)]} if free and others else row


def _sum(sums: Sums, side: int) -> np.ndarray:
    """R (side 0) or G (side 1): the sum over all steps of the mean error of the answers that
    have that step; NaN where too few have one."""
    length = _length(sums)
    part = sums[:, 2 * length * side : 2 * length * (side + 1)]
    counts = part[:, length:]
    total: np.ndarray = divided(part[:, :length], counts).sum(-1)
    return np.where(enough(counts), total, np.nan)


def _length(sums: Sums) -> int:
    """Steps that are summed: of each an error and a count, on two sides."""
    return sums.shape[-1] // 4


def _gap(sums: Sums) -> np.ndarray:
    gap: np.ndarray = _sum(sums, 0) - _sum(sums, 1)
    return gap


def _acc(sums: Sums) -> np.ndarray:
    return _length(sums) * divided(_sum(sums, 0), _sum(sums, 1))


def _ex_acc(sums: Sums) -> np.ndarray:
    excess: np.ndarray = 100 * (divided(_sum(sums, 0), _sum(sums, 1)) - 1)
    return excess


def accumulated(length: int) -> list[Measure]:
    """Errors summed up to step ``length``, of both free-running contexts."""
    sides = {
        "fixed_kl": f"answers of {length} tokens",
        "free_kl": "answers as they end",
    }
    return [m for side, what in sides.items() for m in _accumulated(side, what, length)]


def _accumulated(column: str, what: str, length: int) -> list[Measure]:
    def made(
        name: str,
        title: str,
        unit: str,
        value: Callable[[Sums], np.ndarray],
        formula: str,
        cannot: str = "",
        digits: int = 2,
    ) -> Measure:
        return Measure(
            "accumulated error",
            f"{name}_{column.removesuffix('_kl')}",
            f"{title}, {what}",
            unit,
            ARORA if column == "fixed_kl" else f"after {ARORA}",
            f"{far} {cannot}".strip(),
            _sides(column, length),
            value,
            as_far=_as_far if column == "free_kl" else None,
            needs="oracle",
            digits=digits,
            definition=f"{where}: {formula}; l = {length}.",
        )

    far = "It does not show how far the oracle is from the data."
    if column == "fixed_kl":
        where = "Of samples that no token ends, of prompts whose reference has l tokens"
        far += (
            " Answers go on where they would have ended, which alone lifts R above G."
        )
    else:
        where = "Of samples as they end, as far as answer and reference both go"
        far += (
            " It leaves out what one of answer and reference has and the other has not."
        )
    summed = (
        "the sum over the first l steps of KL(oracle || model) of the next token, the mean"
        " over prompts that have the step, after"
    )
    return [
        made(
            "r",
            "R: summed error after its own tokens",
            "nats",
            _r,
            f"R(l), {summed} own tokens",
        ),
        made(
            "g",
            "G: summed error after the reference's",
            "nats",
            _g,
            f"G(l), {summed} the reference's",
        ),
        made("gap", "R - G", "nats", _gap, "R(l) - G(l)"),
        made(
            "acc_err",
            f"AccErr({length})",
            "steps",
            _acc,
            "l R(l) / G(l)",
            f"{length} is no exposure bias.",
            1,
        ),
        made(
            "ex_acc_err",
            f"ExAccErr({length})",
            "%",
            _ex_acc,
            "100 (R(l) / G(l) - 1)",
            "A model that is sure and wrong everywhere has none.",
            1,
        ),
    ]


def _r(sums: Sums) -> np.ndarray:
    return _sum(sums, 0)


def _g(sums: Sums) -> np.ndarray:
    return _sum(sums, 1)


def _continued(column: str) -> Callable[[Row], list[float] | None]:
    def adds(row: Row) -> list[float] | None:
        a, b = row.get(f"{column}_own"), row.get(f"{column}_reference")
        return None if a is None or b is None else [a, b, 1.0]

    return adds


def _difference(sums: Sums) -> np.ndarray:
    return divided(sums[:, 0] - sums[:, 1], sums[:, 2])


def _eb_m(sums: Sums) -> np.ndarray:
    return divided(sums[:, 1], sums[:, 0])


MEASURES = (
    Measure(
        "continuations",
        "oracle_nll",
        f"oracle's cost of the next {CONTINUED} tokens at most after its own half answer,"
        " minus after the reference's",
        "nats a token",
        HE,
        "It does not show whether the oracle likes what is right.",
        _continued("oracle_nll"),
        _difference,
        needs="oracle",
        definition="The model goes on, at temperature 1, after half of a reference and after"
        " as many tokens of its own sample, up to the end of the shorter of the two. The"
        " oracle's negative log-likelihood of a token of that, after the own half minus after"
        " the reference's; the mean over prompts.",
    ),
    Measure(
        "continuations",
        "eb_m",
        "EB-M: chrF of these tokens after the reference's half answer, over after its own",
        "ratio",
        f"after {HE}",
        "It does not show exposure bias of one model: it is above 1 wherever a reference's"
        " end suits its own beginning best. Of two models the higher one depends more on its"
        " prefix.",
        _continued("chrf"),
        _eb_m,
        definition="Of the same continuations chrF with as much of the reference's rest, the"
        " mean over prompts: that after the reference's half over that after the own half.",
    ),
    Measure(
        "continuations",
        "nll",
        "cost of the reference's tokens",
        "nats a token",
        "",
        "It says nothing of free running.",
        lambda row: [sum(row["nll"]), len(row["nll"])],
        quotient,
        digits=3,
        definition="Negative log-likelihood of the references' tokens, ends included, each"
        " after the reference's tokens before it: the mean over tokens.",
    ),
)

LINES = (
    Line("after its own tokens", lambda row: _line(row, 0)),
    Line("after the reference's", lambda row: _line(row, 1)),
)
"""KL(oracle || model) by position, in nats, of prompts whose texts both have it."""


def _line(row: Row, side: int) -> Sequence[float] | None:
    both = _both(row)
    return None if both is None else both[side]
