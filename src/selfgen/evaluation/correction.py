"""What a second turn does to answers (RAC): gains, fixes, breaks, edits; rates of sums.

A model that corrects itself may gain by fixing wrong answers, lose by breaking right ones,
or copy what it was shown; the mean of the second turn alone does not tell them apart
(Kumar et al. 2024, arXiv 2409.12917; Welleck et al. 2022, arXiv 2211.00053).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from selfgen.core.errors import UserError
from selfgen.evaluation.statistics import (
    Difference,
    Interval,
    Values,
    mean_interval,
    paired_difference,
    ratio_interval,
    shared,
)

Texts = Mapping[int, Mapping[str, str]]
"""Texts of answers: seed -> item id -> text."""


@dataclass(frozen=True)
class Turns:
    """Two turns of the same models on the same items; shares are 0..1.

    ``first``, ``second``: mean scores of the turns; ``gain``: second - first, paired.
    ``improved``, ``worsened``: share of all answers whose score went up, went down: for a
    0/1 measure the fix rate and the break rate. ``fixed``: share of the wrong first
    answers that the second turn makes right; ``broken``: of the right ones, made wrong;
    None for graded measures, and where there was none to fix or to break. ``edited``:
    share of second answers whose text differs from the first; None without texts.
    """

    first: Interval
    second: Interval
    gain: Difference
    improved: Interval
    worsened: Interval
    fixed: Interval | None
    broken: Interval | None
    edited: Interval | None


def turns(
    direct: Values,
    corrected: Values,
    confidence: float,
    names: Sequence[str],
    *,
    graded: bool = False,
    texts: tuple[Texts, Texts] | None = None,
) -> Turns:
    """Compares the direct answers with the corrected ones, seed by seed, item by item.

    Only seeds that both have count, and items that every such seed has on both sides.

    Args:
        names: say in errors which cell it is.
        graded: the score is not 0 or 1 (ROUGE): only gains and losses are counted.
        texts: the direct and the corrected answers, of all items that count.

    Raises:
        UserError: nothing shared, a score that is not 0 or 1 without ``graded``, a
            scored answer without a text.
    """
    seeds, ids = shared(direct, corrected, names)
    pairs = {k: {i: (direct[k][i], corrected[k][i]) for i in ids} for k in seeds}
    strange = {x for side in pairs.values() for pair in side.values() for x in pair}
    if not graded and not strange <= {0, 1}:
        not_binary = min(strange - {0, 1})
        raise UserError(
            f"{' '.join(names)}: found score {not_binary}, allowed are 0 and 1"
        )

    def share(test: Callable[[float, float], float]) -> Values:
        return {k: {i: test(*ab) for i, ab in of.items()} for k, of in pairs.items()}

    first, second = share(lambda a, _: a), share(lambda _, b: b)
    up, down = share(lambda a, b: float(b > a)), share(lambda a, b: float(b < a))
    wrong, right = share(lambda a, _: 1.0 - a), first
    return Turns(
        first=mean_interval(first, confidence, names),
        second=mean_interval(second, confidence, names),
        gain=paired_difference(second, first, confidence, names),
        improved=mean_interval(up, confidence, names),
        worsened=mean_interval(down, confidence, names),
        fixed=None if graded else ratio_interval(up, wrong, confidence, names),
        broken=None if graded else ratio_interval(down, right, confidence, names),
        edited=texts
        and mean_interval(_edits(texts, seeds, ids, names), confidence, names),
    )


def _edits(
    texts: tuple[Texts, Texts], seeds: list[int], ids: list[str], names: Sequence[str]
) -> Values:
    for k in seeds:
        missing = [i for side in texts for i in ids if i not in side.get(k, {})]
        if missing:
            raise UserError(
                f"{' '.join(names)}: {len(missing)} answers of seed {k} without a text:"
                f" {', '.join(missing[:3])}"
            )
    a, b = texts
    return {k: {i: float(a[k][i] != b[k][i]) for i in ids} for k in seeds}
