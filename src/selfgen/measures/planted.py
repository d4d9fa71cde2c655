"""Planted errors: some tokens of the reference are replaced, and the reference goes on; what
the model says of it then, by the distance from them (after He et al. 2021, self-recovery)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from selfgen.core.hashing import unit
from selfgen.data.examples import Example
from selfgen.evaluation.statistics import divided
from selfgen.measures.base import Line, Measure, Row, Sums

if TYPE_CHECKING:
    from selfgen.measures.reading import Instrument, Reading

KINDS = {
    "random": "tokens of the references",
    "own": "its own likeliest other tokens",
    "shuffled": "the same tokens in another order",
}
"""What replaces tokens."""

WINDOW = 8
"""Lags that are read together, so that few prompts suffice."""

LAGS = 4 * WINDOW
"""Tokens after the replaced ones that are read."""


def effects(
    own: Instrument, examples: Sequence[Example], gold: Sequence[Reading]
) -> dict[str, dict[str, Any]]:
    """``planted_KIND``, and ``planted_kl_KIND`` with an oracle, for each example: the change
    of the negative log-likelihood of the reference's next tokens, and of KL(oracle ||
    model), by lag, in nats; None where the answer is too short, or nothing would change.
    """
    found: dict[str, dict[str, Any]] = {e.id: {} for e in examples}
    for kind in KINDS:
        places = {e.id: place(own, e) for e in examples}
        made = {
            e.id: ids
            for e, reading in zip(examples, gold, strict=True)
            if (ids := replaced(own, e, reading, places[e.id], kind)) is not None
        }
        chosen = [e for e in examples if e.id in made]
        read = own.read([replace(e, answer_ids=made[e.id]) for e in chosen])
        after = dict(zip(made, read, strict=True))
        for e, clean in zip(examples, gold, strict=True):
            found[e.id] |= {f"planted_{kind}": None, f"planted_kl_{kind}": None}
            if e.id in after:
                start = places[e.id]
                part = slice(start, start + LAGS)
                planted = after[e.id]
                found[e.id][f"planted_{kind}"] = _change(planted.nll, clean.nll, part)
                if own.oracle is not None:
                    found[e.id][f"planted_kl_{kind}"] = _change(
                        planted.kl, clean.kl, part
                    )
    return found


def _change(a: Sequence[float], b: Sequence[float], part: slice) -> list[float]:
    return [x - y for x, y in zip(a[part], b[part], strict=True)]


def place(own: Instrument, example: Example) -> int:
    """The first token after what is replaced: drawn among those with that many before them,
    and with all lags after them where the answer is long enough."""
    first = own.spec.planted
    last = max(first, len(example.answer_ids) - LAGS)
    return first + int(unit(example.id, "planted") * (last - first + 1))


def replaced(
    own: Instrument, example: Example, gold: Reading, place: int, kind: str
) -> list[int] | None:
    """The answer with the tokens before ``place`` replaced; None where that changes none, or
    no token stands behind them."""
    ids = list(example.answer_ids)
    first = place - own.spec.planted
    if place >= len(ids):
        return None
    window = range(first, place)
    if kind == "random":
        new = [_other(own, example, t) for t in window]
    elif kind == "own":
        new = [gold.rival[t] for t in window]
    else:
        new = [*ids[first + 1 : place], ids[first]]
    changed = [*ids[:first], *new, *ids[place:]]
    return None if changed == ids else changed


def _other(own: Instrument, example: Example, t: int) -> int:
    """A token of the references that is not this one; it may be where all are."""
    start = int(unit(f"{example.id}\x00{t}", "planted") * len(own.pool))
    pool = own.pool
    order = (pool[(start + k) % len(pool)] for k in range(len(pool)))
    return next((i for i in order if i != example.answer_ids[t]), pool[start])


def _windows(column: str, least: int = 1) -> Callable[[Row], list[float] | None]:
    """The four windows of lags, of prompts that have so many lags."""

    def adds(row: Row) -> list[float] | None:
        values = row.get(column)
        if not values or len(values) < least:
            return None
        return windows(values, WINDOW, 4)

    return adds


def windows(values: Sequence[float], width: int, count: int) -> list[float]:
    """Sum and number of the lags of each of some windows, one after the other."""
    parts = [values[i * width : (i + 1) * width] for i in range(count)]
    return [x for part in parts for x in (sum(part), len(part))]


def mean(sums: Sums, window: int) -> np.ndarray:
    """The effect at the lags of a window."""
    return divided(sums[:, 2 * window], sums[:, 2 * window + 1])


def _first(sums: Sums) -> np.ndarray:
    return mean(sums, 0)


def _recovered(sums: Sums) -> np.ndarray:
    """1 - what is left at lags 25 to 32 of the effect at lags 1 to 8."""
    left: np.ndarray = 1 - divided(mean(sums, 3), mean(sums, 0))
    return left


def _early(sums: Sums) -> np.ndarray:
    early: np.ndarray = mean(sums, 0) + mean(sums, 1)
    return early


def _half_life(sums: Sums) -> np.ndarray:
    """Of lags 1 to 16 and lags 17 to 32."""
    return half_life(_early(sums), mean(sums, 2) + mean(sums, 3), 2 * WINDOW)


def half_life(early: np.ndarray, late: np.ndarray, lags: int) -> np.ndarray:
    """Of an effect that shrinks by the same factor at every lag: that factor to the power of
    ``lags``, by which ``late`` is behind ``early``, is the share that is left (an exponential
    decay, of which the half-life is lags x ln .5 / ln of that share).

    0 where nothing is left, which is a bound and not an estimate, so it has no gradient, and
    no interval; NaN where the effect does not shrink. ``early`` must be above 0
    (``Measure.given``).
    """
    left = divided(late, early)
    shrinks = (left.real > 0) & (left.real < 1)
    lives = lags * np.log(0.5) / np.log(np.where(shrinks, left, 0.5))
    gone = complex(0, math.nan) if np.iscomplexobj(left) else 0.0
    return np.where(shrinks, lives, np.where(left.real <= 0, gone, np.nan))


SOURCE = "after He et al. 2021"

HOW = {
    "random": "each by another token of the references, drawn by the prompt's id",
    "own": "each by the model's likeliest other token that ends nothing, chosen after the"
    " reference's tokens before it, not after the other planted ones",
    "shuffled": "by themselves, the first one behind the others",
}
"""By what tokens are replaced."""


def _of_kind(kind: str, what: str) -> list[Measure]:
    columns: Mapping[str, tuple[str, str, str]] = {
        "": (
            "cost of the reference's tokens",
            "negative log-likelihood of the reference's tokens",
            "",
        ),
        "kl_": (
            "error against the oracle",
            "KL(oracle || model) before the reference's tokens",
            "oracle",
        ),
    }
    found = []
    for prefix, (of, formula, needs) in columns.items():
        column = f"planted_{prefix}{kind}"
        found += [
            Measure(
                "planted errors",
                column,
                f"{what}: {of}, lags 1 to {WINDOW}",
                "nats",
                SOURCE,
                "It does not show what the model would have written there itself. A model"
                " that ignores the context pays nothing.",
                _windows(column),
                _first,
                needs=needs,
                digits=3,
                definition="Some tokens of a reference before a place (--planted) are"
                f" replaced, {HOW[kind]}, and it goes on. The effect at a lag, so many tokens"
                f" later, is the {formula}, minus the same where nothing was replaced; the"
                f" mean over lags 1 to {WINDOW}.",
            ),
            Measure(
                "planted errors",
                f"{column}_recovered",
                f"{what}: {of}, share gone at lags 25 to 32",
                "%",
                SOURCE,
                "It shows nothing where the effect is small beside its interval.",
                _windows(column, LAGS),
                _recovered,
                given=_first,
                better=1,
                needs=needs,
                scale=100,
                digits=0,
                definition=f"Of the same effect 1 - its mean at lags {LAGS - WINDOW + 1} to"
                f" {LAGS} over that at lags 1 to {WINDOW}, of prompts with all of them. Left"
                " out where the latter is not above 0 by its interval.",
            ),
            Measure(
                "planted errors",
                f"{column}_half_life",
                f"{what}: {of}, half-life (0: gone before lag {2 * WINDOW + 1})",
                "tokens",
                SOURCE,
                "It does not show how an effect goes that does not shrink evenly: read the"
                " curve.",
                _windows(column, LAGS),
                _half_life,
                least=0.0,
                given=_early,
                needs=needs,
                digits=1,
                definition="The lags in which the same effect halves if it shrinks evenly:"
                f" {2 * WINDOW} ln(.5) / ln(q), q its mean at lags {2 * WINDOW + 1} to {LAGS}"
                f" over that at lags 1 to {2 * WINDOW}, of prompts with all of them. Left out"
                " where the latter is not above 0 by its interval.",
            ),
        ]
    return found


MEASURES = tuple(m for kind, what in KINDS.items() for m in _of_kind(kind, what))


def _line(kind: str, what: str) -> Line:
    return Line(what, lambda row: row.get(f"planted_{kind}"))


LINES = tuple(_line(kind, what) for kind, what in KINDS.items())
"""The effect by lag."""
