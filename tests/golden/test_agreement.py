"""Agreement of a score with a judge, by hand."""

import pytest

from selfgen.core.errors import UserError
from selfgen.report.agreement import agreement, tabulate


def test_near_scores_are_a_tie() -> None:
    """As in a comparison: half agrees, with whichever side."""
    found = agreement("x", [1.00005, 1.0], [1.0, 1.00005], [2.0, 1.0], 0.95)
    assert (found.model.value, found.baseline.value) == (0.5, 0.5)


def test_a_side_without_a_pair_is_refused() -> None:
    with pytest.raises(UserError, match="no pair that the judge gave to the model"):
        agreement("x", [1.0], [0.0], [1.0], 0.95)
    with pytest.raises(UserError, match="no pair that the judge gave to the model"):
        agreement("x", [], [], [], 0.95)


def test_by_hand() -> None:
    """Six pairs: the judge gave two to the model (the score agrees with one), three to the
    baseline (with one, and half with an equal one), and one to nobody."""
    preferences = [2.0, 1.9, 1.0, 1.2, 1.0001, 1.5]
    own = [3.0, 1.0, 1.0, 5.0, 2.0, 9.0]
    other = [1.0, 2.0, 4.0, 1.0, 2.0, 0.0]
    found = agreement("x", own, other, preferences, 0.95)
    assert found.model.value == 0.5 and found.model.n == 2
    assert found.baseline.value == pytest.approx(1.5 / 3) and found.baseline.n == 3
    assert found.all.value == pytest.approx(2.5 / 5) and found.balanced == 0.5
    always = agreement("baseline", [0.0] * 6, [1.0] * 6, preferences, 0.95)
    assert (always.model.value, always.baseline.value, always.balanced) == (0, 1, 0.5)
    made = tabulate([found, always], "T", 0.95)
    assert "| baseline | 60.0<br>" in made["agreement.md"]
    assert made["agreement.csv"].splitlines()[2].startswith("baseline,5,0.600000,")
