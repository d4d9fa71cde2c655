"""Hand-worked rows: which position is read, and which label it is asked for.

Prompt ids 10 11, reference 21 22 23 and EOS 2. The state at position p predicts the label
at p + 1, so the reference's first token is asked of the last prompt position:

    position       0     1     2    3    4    5
    plain reads   10    11    21   22   23    2
    labels      -100  -100    21   22   23    2
    BASH reads    10    11    21   99   23    2      (22 was replaced by 99)
    labels      -100  -100    21   22   23    2      (and is still the label)
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfgen.core.errors import UserError
from selfgen.mixing import rows
from selfgen.training.causal import IGNORE, LabelLoss, collate, labelled
from tests.golden.conftest import ByHand

PROMPT = [10, 11]
ANSWER = [21, 22, 23, 2]


def test_plain_row() -> None:
    row = rows.plain(PROMPT, ANSWER)
    assert row["input_ids"] == [10, 11, 21, 22, 23, 2]
    assert row["labels"] == [-100, -100, 21, 22, 23, 2]
    assert row["attention_mask"] == [1] * 6


def test_bash_changes_what_is_read_and_never_what_is_asked() -> None:
    row = rows.bash(PROMPT, ANSWER, [21, 99, 23, 2])
    assert row["input_ids"] == [10, 11, 21, 99, 23, 2]
    assert row["labels"] == [-100, -100, 21, 22, 23, 2]


def test_bash_may_leave_labels_out() -> None:
    """22 was replaced by 99. Behind it stand 23 and EOS; kept are all but it. A token that
    was drawn and is the reference's is no change."""
    mixed = [21, 99, 23, 2]
    behind = rows.bash(PROMPT, ANSWER, mixed, "behind-changed")
    assert behind["labels"] == [-100, -100, -100, -100, 23, 2]
    kept = rows.bash(PROMPT, ANSWER, mixed, "kept")
    assert kept["labels"] == [-100, -100, 21, -100, 23, 2]
    assert behind["input_ids"] == kept["input_ids"] == [10, 11, 21, 99, 23, 2]
    # Two changes: the second is behind the first.
    mixed = [98, 22, 99, 2]
    behind = rows.bash(PROMPT, ANSWER, mixed, "behind-changed")
    assert behind["labels"] == [-100, -100, -100, 22, 23, 2]
    kept = rows.bash(PROMPT, ANSWER, mixed, "kept")
    assert kept["labels"] == [-100, -100, -100, 22, -100, 2]
    unchanged = rows.bash(PROMPT, ANSWER, ANSWER, "behind-changed")
    assert unchanged["labels"] == [-100] * 6
    assert rows.bash(PROMPT, ANSWER, ANSWER, "kept") == rows.plain(PROMPT, ANSWER)


@pytest.mark.parametrize(
    ("mixed", "labels"),
    [
        # Nothing was drawn, or a token without a counterpart: nothing is asked behind it.
        ([21, 22, 23, 24, 25, 2], [21, 22, 23, 24, 25, 2]),
        ([21, 99, 23, 24, 25, 2], [21, 22, IGNORE, 24, 25, 2]),
        # A run that leaves 22 out: behind 23, which came early, 24 is asked for. The
        # counterpart of the reference's 24 is the second one, from where it goes on.
        ([21, 23, 24, 24, 25, 2], [21, 22, 24, IGNORE, 25, 2]),
        # A run that puts 99 in: 22 comes late, and 23 is asked for at its new place.
        ([21, 99, 22, 24, 25, 2], [21, 22, IGNORE, 23, 25, 2]),
        # What a token says at the end has nothing behind it but EOS.
        ([21, 22, 23, 25, 99, 2], [21, 22, 23, 24, 2, IGNORE]),
    ],
)
def test_labels_follow_the_counterpart_of_what_was_read(
    mixed: list[int], labels: list[int]
) -> None:
    answer = [21, 22, 23, 24, 25, 2]
    row = rows.bash(PROMPT, answer, mixed, labels="aligned")
    assert row["input_ids"] == [*PROMPT, *mixed]
    assert row["labels"] == [IGNORE] * len(PROMPT) + labels
    # The reference's own labels stay where they are.
    assert rows.bash(PROMPT, answer, mixed)["labels"][len(PROMPT) :] == answer


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.data())
def test_every_aligned_label_follows_a_token_as_the_reference_does(
    answer: list[int], data: st.DataObject
) -> None:
    size = {"min_size": len(answer), "max_size": len(answer)}
    mixed = data.draw(st.lists(st.integers(0, 4), **size))
    labels = rows.aligned(answer, mixed)
    assert labels[0] == answer[0]
    pairs = set(pairwise(answer))
    for t, label in enumerate(labels[1:], 1):
        assert label == IGNORE or (mixed[t - 1], label) in pairs


def test_rac_labels_only_the_reference() -> None:
    row = rows.rac([10, 11, 31, 32, 40], ANSWER)
    assert row["input_ids"] == [10, 11, 31, 32, 40, 21, 22, 23, 2]
    assert row["labels"] == [-100] * 5 + [21, 22, 23, 2]


def test_mixed_answer_must_be_aligned() -> None:
    with pytest.raises(UserError, match="as the mixed answer, needed are 4 tokens, as"):
        rows.bash(PROMPT, ANSWER, [21, 22, 23])


def test_share_of_correction_rows() -> None:
    drawn = [rows.is_correction(0, f"id{i}", 0, 0.3) for i in range(2000)]
    assert 0.27 < sum(drawn) / 2000 < 0.33
    assert not any(rows.is_correction(0, f"id{i}", 0, 0.0) for i in range(100))
    assert all(rows.is_correction(0, f"id{i}", 0, 1.0) for i in range(100))


class Table(ByHand):
    """Its logits are a table row of the token it reads: p(next | token)."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__(len(table))
        self.table = table

    def logits(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.table[input_ids]


def test_each_position_is_asked_for_the_next_label() -> None:
    """The loss of the rows above, term by term, from a bigram table."""
    torch.manual_seed(0)
    table = torch.randn(100, 100)
    log = table.log_softmax(-1)
    plain = {**rows.plain(PROMPT, ANSWER), "id": "a"}
    mixed = {**rows.bash(PROMPT, ANSWER, [21, 99, 23, 2]), "id": "b"}
    loss = LabelLoss(Table(table))
    expected_plain = -(log[11, 21] + log[21, 22] + log[22, 23] + log[23, 2])
    # Position 3 reads 99 and is asked for 23; position 2 is still asked for 22.
    expected_mixed = -(log[11, 21] + log[21, 22] + log[99, 23] + log[23, 2])
    torch.testing.assert_close(loss(**collate([plain], "cpu")), expected_plain)
    torch.testing.assert_close(loss(**collate([mixed], "cpu")), expected_mixed)
    both = loss(**collate([plain, mixed], "cpu"))
    torch.testing.assert_close(both, expected_plain + expected_mixed)
    assert labelled([plain, mixed]) == 8


def test_rows_of_a_batch_stand_one_after_the_other() -> None:
    """Two rows of 2 and 3 tokens: labels 6, 8 and 9 are asked of the states at 0, 2, 3,
    and the last token of neither row is asked for the first of the next."""
    short = {"id": "a", "input_ids": [5, 6], "labels": [IGNORE, 6]}
    long = {"id": "b", "input_ids": [7, 8, 9], "labels": [IGNORE, 8, 9]}
    batch = collate([short, long], "cpu")
    assert batch["input_ids"].tolist() == [5, 6, 7, 8, 9]
    assert batch["before"].tolist() == [0, 2, 3]
    assert batch["labels"].tolist() == [6, 8, 9]
    assert batch["lengths"] == [2, 3]
