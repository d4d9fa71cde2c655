"""The scheduled-sampling pass: self-generated tokens aligned with a reference.

At every answer position t the context token is the model's own with probability ``beta``,
else the reference's: s_t = y_t, or s_t ~ p(. | x, s_<t) drawn left to right on the context
already mixed. ``onepass`` is the cheap relative with another distribution: it draws from
p(. | x, y_<t), so a drawn token never sees an earlier one.

Source: our reading A of Algorithm 1 (BASH) of arXiv 2410.14655, docs/method.md; the mixing
rule is that of scheduled sampling (Bengio et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from selfgen.generation.decoding import (
    Chooser,
    decode,
    left_pad,
    plan_batches,
    shard_of,
)
from selfgen.generation.draws import row_key, uniform
from selfgen.models import decoder
from selfgen.specs import PassSpec, UserError


@dataclass(frozen=True)
class Reference:
    """One reference answer to mix: token ids of the prompt and of the closed answer."""

    id: str
    epoch: int
    prompt_ids: list[int]
    answer_ids: list[int]


def mixing_mask(seed: int, row: Reference, beta: float) -> list[bool]:
    """Which answer positions take the model's token: [answer length].

    The last position is never mixed: it is the EOS (or the cut), which is no context.
    """
    key = torch.tensor(row_key(seed, "mix", row.epoch, row.id))
    draws = uniform(key, torch.arange(len(row.answer_ids) - 1))
    return [*(draws < beta).tolist(), False]


def run(
    model: Any,
    rows: list[Reference],
    spec: PassSpec,
    special_ids: list[int],
    eos_id: int,
    *,
    shard: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields ``{id, epoch, tokens, drawn}`` for the rows of a shard.

    ``tokens``: the mixed answer s, as long as the reference; ``drawn``: where it is the
    model's choice (which may equal the reference). Special tokens are never drawn; EOS is
    drawn early only with ``eos: keep``.
    """
    if not 0 <= spec.beta <= 1:
        raise UserError(f"beta: found {spec.beta}, allowed is 0 to 1")
    banned = set(special_ids) - ({eos_id} if spec.eos == "keep" else set())
    engine = {"forced": _left_to_right, "onepass": _one_pass}[spec.kind]
    lengths = [len(row.prompt_ids) + len(row.answer_ids) for row in rows]
    names = [f"{row.id} {row.epoch}" for row in rows]
    batches = shard_of(
        plan_batches(lengths, names, spec.batch_size), shard, spec.shards
    )
    total, done = sum(map(len, batches)), 0
    for indices in batches:
        batch = [rows[i] for i in indices]
        masks = [mixing_mask(spec.seed, row, spec.beta) for row in batch]
        keys = [row_key(spec.seed, "token", row.epoch, row.id) for row in batch]
        chooser = Chooser(
            spec.sampling, torch.tensor(keys, device=model.device), sorted(banned)
        )
        for row, mask, tokens in zip(
            batch, masks, engine(model, batch, masks, chooser), strict=True
        ):
            yield {"id": row.id, "epoch": row.epoch, "tokens": tokens, "drawn": mask}
        done += len(batch)
        if progress:
            progress(done, total)


class _Forced:
    """Policy: the mask decides who speaks, the reference decides how long."""

    def __init__(
        self, batch: list[Reference], masks: list[list[bool]], device: Any
    ) -> None:
        longest = max(len(row.answer_ids) for row in batch)

        def table(values: list[list[int]] | list[list[bool]]) -> torch.Tensor:
            padded = [list(v) + [0] * (longest - len(v)) for v in values]
            return torch.tensor(padded, device=device)

        self.answers = table([row.answer_ids for row in batch])
        self.masks = table(masks).bool()
        self.lengths = torch.tensor([len(r.answer_ids) for r in batch], device=device)

    def drawn(self, rows: torch.Tensor, position: int) -> torch.Tensor:
        return self.masks[rows, position]

    def given(self, rows: torch.Tensor, position: int) -> torch.Tensor:
        return self.answers[rows, position]

    def finished(
        self, rows: torch.Tensor, position: int, tokens: torch.Tensor
    ) -> torch.Tensor:
        return self.lengths[rows] == position + 1


def _left_to_right(
    model: Any, batch: list[Reference], masks: list[list[bool]], chooser: Chooser
) -> list[list[int]]:
    mixed: list[list[int]] = [[] for _ in batch]
    policy = _Forced(batch, masks, model.device)
    for rows, tokens in decode(model, [r.prompt_ids for r in batch], policy, chooser):
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            mixed[row].append(token)
    return mixed


@torch.inference_mode()
def _one_pass(
    model: Any, batch: list[Reference], masks: list[list[bool]], chooser: Chooser
) -> list[list[int]]:
    sequences = [row.prompt_ids + row.answer_ids for row in batch]
    ids, attention = left_pad(sequences, model.config.pad_token_id or 0, model.device)
    states = decoder(model)(
        input_ids=ids,
        attention_mask=attention,
        position_ids=(attention.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
    )[0]
    mixed = [list(row.answer_ids) for row in batch]
    for index, (row, mask) in enumerate(zip(batch, masks, strict=True)):
        positions = torch.tensor(
            [t for t, drawn in enumerate(mask) if drawn],
            dtype=torch.long,
            device=model.device,
        )
        if len(positions) == 0:
            continue
        # The state before answer position t, counted from the right end of the row.
        before = ids.shape[1] - len(row.answer_ids) + positions - 1
        logits = model.get_output_embeddings()(states[index, before])
        tokens = chooser(logits, torch.full_like(positions, index), positions)
        for position, token in zip(positions.tolist(), tokens.tolist(), strict=True):
            mixed[index][position] = token
    return mixed
