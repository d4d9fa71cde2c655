"""Exposure bias: what a model's own tokens as context do to its next tokens.

Two readings. Where answers stand position by position against the reference (a task declares
it), free-running and teacher-forced token errors and their excess. Elsewhere the accumulated
error against a named oracle model (Arora et al. 2022, arXiv 2204.01171). Whole-answer exact
match shows neither: under greedy decoding of a deterministic answer the context is the
reference until the first error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import or_
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from selfgen.core.errors import UserError

if TYPE_CHECKING:
    import pandas
    import torch

    from selfgen.models.reader import Reader

BATCH_TOKENS = {"cpu": 2048, "cuda": 32768}
"""Tokens of one forward pass, by device; affects memory and speed only."""

LOGITS = {"cpu": 2**22, "cuda": 2**26}
"""Logits that are computed at a time, by device; likewise."""

COUNTS = ["n", "forced_wrong", "free_wrong", "after_error", "recovered"]
"""Columns that count answer positions."""


class PromptAndAnswer(Protocol):
    """Token ids of a prompt and of the answer after it, as in ``forced.Reference``."""

    @property
    def prompt_ids(self) -> Sequence[int]: ...

    @property
    def answer_ids(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class Forced:
    """Teacher-forced reading of one answer: the best token [answer length] at each
    position, and the summed negative log-likelihood of the answer in nats."""

    tokens: list[int]
    nll: float


@dataclass(frozen=True)
class Aligned:
    """One answer against its reference, by position; lists are [reference length].

    ``longer``: the free answer goes on beyond the reference (not counted as error).
    ``similarity``: 1 - edit distance / longer length of the two, 0..1.
    """

    forced_wrong: list[bool]
    free_wrong: list[bool]
    longer: bool
    similarity: float

    @property
    def after_error(self) -> list[bool]:
        """Where an earlier free token of the answer is wrong."""
        return [False, *accumulate(self.free_wrong, or_)][: len(self.free_wrong)]

    @property
    def recovered(self) -> list[bool]:
        """Where the free token is right although an earlier one is wrong."""
        pairs = zip(self.after_error, self.free_wrong, strict=True)
        return [after and not wrong for after, wrong in pairs]


def forced_choices(
    model: Any,
    rows: Sequence[PromptAndAnswer],
    *,
    banned: Sequence[int] = (),
    batch_tokens: int | None = None,
) -> list[Forced]:
    """Reads reference answers with the reference as context, in the order of ``rows``.

    Args:
        banned: ids that are never chosen. Give what generation bans (special tokens but
            EOS), so that forced and free errors differ by context alone. The likelihood
            is the model's own, nothing banned.
        batch_tokens: tokens of one forward pass (default: by device).

    Raises UserError: a row whose prompt is empty, tokens that the model does not have,
    logits that are no numbers.
    """
    import torch

    def best(labels: torch.Tensor, logits: torch.Tensor) -> list[tuple[int, float]]:
        nll = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        logits[:, [i for i in banned if i < logits.shape[-1]]] = -torch.inf
        return list(zip(logits.argmax(-1).tolist(), nll.tolist(), strict=True))

    read = read_logits([model], rows, best, batch_tokens)
    return [Forced([i for i, _ in row], math.fsum(x for _, x in row)) for row in read]


def step_errors(
    model: Any,
    oracle: Any,
    rows: Sequence[PromptAndAnswer],
    *,
    tokens: Sequence[int],
    batch_tokens: int | None = None,
) -> list[list[float]]:
    """KL(oracle || model) of the next token before every answer token: [answer length]
    for each row, in nats, from fp32 softmaxes (eps_t(c) of Arora et al. 2022).

    The contexts are those of the rows: free answers give the terms of R, references
    those of G. Both distributions are over ``tokens``, the ids that mean the same to both
    models (``shared_tokens``); the rest of a padded head has no part in them. Where the
    model rules out what the oracle allows, the error is infinite.
    Raises UserError: a row with an id that is not of ``tokens``, and as ``forced_choices``.
    """
    import torch

    check_shared(rows, tokens)
    kept = torch.as_tensor(tokens, dtype=torch.long)

    def errors(_: Any, p: torch.Tensor, o: torch.Tensor) -> list[float]:
        ids = kept.to(p.device)
        own, other = p[:, ids].log_softmax(-1), o[:, ids].log_softmax(-1)
        return divergence(own, other).tolist()

    return read_logits([model, oracle], rows, errors, batch_tokens)


def check_shared(rows: Iterable[PromptAndAnswer], tokens: Iterable[int]) -> None:
    """Raises UserError: a row with an id that is not of ``tokens``."""
    known = set(tokens)
    for row in rows:
        for i in (*row.prompt_ids, *row.answer_ids):
            if i not in known:
                raise UserError(
                    f"oracle: found the token {i} in a row, which model and oracle do not"
                    " share"
                )


def divergence(model: torch.Tensor, oracle: torch.Tensor) -> torch.Tensor:
    """KL(oracle || model) in nats [n] of log-probabilities [n, tokens]."""
    import torch

    terms = torch.where(oracle == -torch.inf, 0.0, oracle.exp() * (oracle - model))
    # Rounding may leave -1e-8 where the two agree.
    return terms.sum(-1).clamp_min(0)


def shared_tokens(tokenizer: Any, other: Any) -> list[int]:
    """Ids that mean the same token to two tokenizers, whatever the sizes of the heads.

    Raises UserError: an id with two meanings, or a token with two ids, which makes them
    different vocabularies.
    """
    first, second = tokenizer.get_vocab(), other.get_vocab()
    meanings = {i: token for token, i in second.items()}
    for token, i in first.items():
        if meanings.get(i, token) != token or second.get(token, i) != i:
            raise UserError(
                f"oracle: the model's token {i} is {token!r}, the oracle's is"
                f" {meanings.get(i)!r}; allowed: an oracle with the model's vocabulary"
            )
    return sorted(set(first.values()) & set(meanings))


def aligned(
    free: Sequence[int],
    forced: Sequence[int],
    gold: Sequence[int],
    same: Mapping[int, int],
) -> Aligned:
    """One free answer and the forced choices of its reference, position by position.

    ``same`` maps tokens that count as equal (synonyms) to one class; a token that it does
    not name is its own class. A free answer that has ended is wrong at the positions that
    it lacks. Close all three by EOS, or none. Raises UserError: ``forced`` is not as long
    as ``gold``.
    """
    if len(forced) != len(gold):
        raise UserError(
            f"aligned: found {len(forced)} forced tokens for {len(gold)} of the reference"
        )
    free, forced, gold = ([same.get(i, i) for i in ids] for ids in (free, forced, gold))
    wrong = [a != b for a, b in zip(free, gold, strict=False)]
    longest = max(len(free), len(gold))
    return Aligned(
        forced_wrong=[a != b for a, b in zip(forced, gold, strict=True)],
        free_wrong=wrong + [True] * (len(gold) - len(wrong)),
        longer=len(free) > len(gold),
        similarity=1 - edit_distance(free, gold) / longest if longest else 1.0,
    )


def edit_distance(a: Sequence[int], b: Sequence[int]) -> int:
    """Levenshtein distance: insertions, deletions and substitutions cost 1 each."""
    other, steps = np.array(b), np.arange(len(b) + 1)
    row = steps
    for i, token in enumerate(a, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (other != token))
        # Insertions run along the row: its minimum so far, plus the steps since.
        row = np.minimum.accumulate(np.concatenate([[i], best]) - steps) + steps
    return int(row[-1])


def by_position(examples: Iterable[Aligned]) -> pandas.DataFrame:
    """Counts by ``length`` of the reference (tokens) and ``position`` (from 0).

    ``n`` positions read; of them ``forced_wrong`` and ``free_wrong``; ``after_error``
    behind a wrong free token, of which ``recovered`` are right.
    """
    import pandas as pd

    names = ["length", "position", *COUNTS[1:]]
    columns: dict[str, list[int]] = {name: [] for name in names}
    for example in examples:
        length = len(example.free_wrong)
        columns["length"] += [length] * length
        columns["position"] += range(length)
        for name in COUNTS[1:]:
            columns[name] += getattr(example, name)
    frame = pd.DataFrame(columns).astype(int).assign(n=1)
    return frame.groupby(["length", "position"], as_index=False)[COUNTS].sum()


def rates(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Adds ``forced_error``, ``free_error``, their ``excess`` and ``recovery`` (shares
    0..1; NaN where nothing was counted) to counts, also to sums of the rows above."""
    forced = frame["forced_wrong"] / frame["n"]
    free = frame["free_wrong"] / frame["n"]
    return frame.assign(
        forced_error=forced,
        free_error=free,
        excess=free - forced,
        recovery=frame["recovered"] / frame["after_error"],
    )


def read_logits(
    models: Sequence[Any],
    rows: Sequence[PromptAndAnswer],
    measure: Callable[..., list[Any]],
    batch_tokens: int | None,
) -> list[list[Any]]:
    """What ``measure`` makes of the answer tokens [n] and of each model's fp32 logits
    [n, vocabulary] before them: [answer length] for each row, in their order.

    Raises UserError: as ``forced_choices``.
    """
    import torch

    from selfgen.models import probe

    results: list[list[Any]] = [[] for _ in rows]
    with torch.inference_mode(), ExitStack() as stack:
        for model in models:
            stack.callback(model.train, model.training)
            model.eval()
        readers = [probe.reader(model) for model in models]
        device = readers[0].device
        limit = LOGITS.get(device.type, LOGITS["cpu"])
        size = max(1, limit // readers[0].vocabulary)
        tokens = batch_tokens or BATCH_TOKENS.get(device.type, BATCH_TOKENS["cpu"])
        if any(reader.way == "whole" for reader in readers):
            tokens = min(tokens, size)  # their states are the logits of all tokens
        for i, row in enumerate(rows):
            if not hasattr(row, "prompt_ids") or not hasattr(row, "answer_ids"):
                raise UserError(f"rows: row {i} has no prompt_ids or no answer_ids")
            for reader in readers:
                ids = [*row.prompt_ids, *row.answer_ids]
                reader.check_ids(_name(i, row), ids, row.answer_ids)
        for batch in _batches(rows, tokens):
            chosen = [rows[i] for i in batch]
            labels = [token for row in chosen for token in row.answer_ids]
            wanted = torch.tensor(labels, dtype=torch.long, device=device)
            states = [_states(reader, chosen) for reader in readers]
            values: list[Any] = []
            for start in range(0, len(labels), size):
                part = slice(start, start + size)
                logits = [
                    reader.logits(state[part]).float().to(device)
                    for reader, state in zip(readers, states, strict=True)
                ]
                for reader, found in zip(readers, logits, strict=True):
                    sound = found.amax(-1).isfinite()
                    if not sound.all():
                        place = start + int((~sound).int().argmax())
                        raise _no_number(reader, place, batch, chosen)
                values += measure(wanted[part], *logits)
            left = iter(values)
            for i, row in zip(batch, chosen, strict=True):
                results[i] = list(islice(left, len(row.answer_ids)))
    return results


def _name(number: int, row: PromptAndAnswer) -> str:
    return str(getattr(row, "id", number))


def _no_number(
    reader: Reader, place: int, numbers: Sequence[int], rows: Sequence[PromptAndAnswer]
) -> UserError:
    """Of the answer token ``place`` of some rows that stand one after the other."""
    from selfgen.models import probe

    places = (
        (t, _name(number, row))
        for number, row in zip(numbers, rows, strict=True)
        for t in range(len(row.answer_ids))
    )
    t, name = next(islice(places, place, None))
    return UserError(
        f"evaluation: the logits of {probe.name_of(reader.model)} before token {t} of"
        f" the answer to {name} are not finite"
    )


def _states(reader: Reader, rows: Sequence[PromptAndAnswer]) -> torch.Tensor:
    """[answer tokens of the rows, size]: the state before each of them."""
    import torch

    # The last token is not read.
    reads = [[*row.prompt_ids, *row.answer_ids[:-1]] for row in rows]
    lengths = [len(read) for read in reads]
    tokens = torch.tensor([i for read in reads for i in read], device=reader.device)
    lines = reader.states(tokens, lengths).split(lengths)
    ends = zip(lines, lengths, rows, strict=True)
    return torch.cat([line[n - len(row.answer_ids) : n] for line, n, row in ends])


def _batches(rows: Sequence[PromptAndAnswer], tokens: int) -> Iterator[list[int]]:
    """Indices of rows of like length, at most ``tokens`` tokens (or one row) together."""
    for i, row in enumerate(rows):
        if not len(row.prompt_ids):
            raise UserError(f"rows: the prompt of row {i} is empty")
    lengths = [len(row.prompt_ids) + len(row.answer_ids) for row in rows]
    batch: list[int] = []
    size = 0
    for i in sorted(range(len(rows)), key=lambda i: lengths[i]):
        size += lengths[i]
        if batch and size > tokens:
            yield batch
            batch, size = [], lengths[i]
        batch.append(i)
    if batch:
        yield batch
