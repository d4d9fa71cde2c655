"""Free-running generation: drafts for RAC and answers for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from selfgen.data.prompts import answer_text
from selfgen.generation.decoding import Chooser, decode, plan_batches, shard_of
from selfgen.generation.draws import row_key
from selfgen.specs import Sampling


@dataclass(frozen=True)
class Prompt:
    """One prompt to answer; ``epoch`` tells several drafts of one example apart."""

    id: str
    epoch: int
    prompt_ids: list[int]


def run(
    model: Any,
    tokenizer: Any,
    prompts: list[Prompt],
    sampling: Sampling,
    *,
    seed: int,
    max_new_tokens: int,
    batch_size: int,
    shard: int = 0,
    shards: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields ``{id, epoch, text, tokens, ended}`` for the prompts of a shard.

    ``tokens`` counts generated tokens, EOS included; ``ended`` says whether EOS came
    before ``max_new_tokens``. Other special tokens are never generated.
    """
    eos = tokenizer.eos_token_id
    banned = sorted(set(tokenizer.all_special_ids) - {eos})
    names = [f"{prompt.id} {prompt.epoch}" for prompt in prompts]
    lengths = [len(prompt.prompt_ids) for prompt in prompts]
    batches = shard_of(plan_batches(lengths, names, batch_size), shard, shards)
    total, done = sum(map(len, batches)), 0
    for indices in batches:
        batch = [prompts[i] for i in indices]
        keys = [row_key(seed, "free", prompt.epoch, prompt.id) for prompt in batch]
        chooser = Chooser(sampling, torch.tensor(keys, device=model.device), banned)
        generated: list[list[int]] = [[] for _ in batch]
        policy = _Free(eos, max_new_tokens)
        for rows, tokens in decode(
            model, [prompt.prompt_ids for prompt in batch], policy, chooser
        ):
            for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
                generated[row].append(token)
        for prompt, ids in zip(batch, generated, strict=True):
            yield {
                "id": prompt.id,
                "epoch": prompt.epoch,
                "text": answer_text(tokenizer, ids),
                "tokens": len(ids),
                "ended": ids[-1] == eos,
            }
        done += len(batch)
        if progress:
            progress(done, total)


class _Free:
    """Policy: the model speaks until EOS or the limit."""

    def __init__(self, eos: int, limit: int) -> None:
        self.eos, self.limit = eos, limit

    def drawn(self, rows: torch.Tensor, position: int) -> torch.Tensor:
        return torch.ones_like(rows, dtype=torch.bool)

    def given(self, rows: torch.Tensor, position: int) -> torch.Tensor:
        return torch.full_like(rows, self.eos)

    def finished(
        self, rows: torch.Tensor, position: int, tokens: torch.Tensor
    ) -> torch.Tensor:
        return (tokens == self.eos) | (position + 1 >= self.limit)
