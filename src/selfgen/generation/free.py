"""Free-running generation: drafts for RAC and answers for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from selfgen.core.rng import row_key
from selfgen.core.spec import Sampling, at_least, instance
from selfgen.data.prompts import answer_text
from selfgen.generation import ends, engines, vllm_backend
from selfgen.generation.decoding import Prompt, Request, of_shard, token_ids
from selfgen.generation.sampling import Sampler


def complete(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    seed: int,
    max_new_tokens: int,
    batch_size: int = 64,
    shard: int = 0,
    shards: int = 1,
    ends_turns: bool = True,
    stop_at: frozenset[int] = frozenset(),
    engine: str = "auto",
    facts: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[Prompt, list[int]]]:
    """Yields the prompts of a shard and the ids of their answers, closed by a token that ends
    a turn (``ends.stops``) where it came before ``max_new_tokens``. Other control tokens are
    never generated, nor are these where ``ends_turns`` is false: then all answers have
    ``max_new_tokens``. ``stop_at``: further tokens that end one. ``engine``, ``facts`` and
    ``progress`` as in ``forced.run``; a ``model`` that vLLM loads knows no ``engine``.

    Raises UserError: numbers, rows or tokens that are none.
    """
    instance("sampling", sampling, Sampling)
    at_least("max_new_tokens", max_new_tokens, 1)
    stops = ends.stops(model, tokenizer)
    banned = ends.banned(model, tokenizer, but=stops)
    if not ends_turns:
        banned, stops = sorted({*banned, *stops}), frozenset()
    stops |= stop_at
    sampler = Sampler(sampling, banned)
    chosen = of_shard(prompts, batch_size, shard, shards)
    work = [
        Request(
            row_key(seed, "free", prompt.epoch, prompt.id),
            token_ids(prompt.id, prompt.prompt_ids),
            max_new_tokens,
            stops=stops,
            name=str(prompt.id),
            group=prompt.group,
            sibling=token_ids(prompt.id, prompt.sibling),
        )
        for prompt in chosen
    ]
    if isinstance(model, vllm_backend.Served):
        filled = model.fill(work, sampler, batch_size, progress)
        made = model.facts
    else:
        filler = engines.make(engine, model, sampler, work, batch_size)
        filled = engines.fill(filler, work, batch_size, progress)
        made = partial(engines.facts, filler)
    for index, ids in engines.in_order(filled):
        yield chosen[index], ids
    if facts is not None:
        facts |= made() | {"turn_end": ends.named(stops, tokenizer)}


def run(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], *args: Any, **options: Any
) -> Iterator[dict[str, Any]]:
    """``complete`` as rows ``{id, epoch, text, tokens, ended}``.

    ``tokens`` counts generated tokens, that which ends the turn included; ``ended`` says
    whether it came before ``max_new_tokens``.
    """
    stops = ends.stops(model, tokenizer)
    for prompt, ids in complete(model, tokenizer, prompts, *args, **options):
        yield {
            "id": prompt.id,
            "epoch": prompt.epoch,
            "text": answer_text(tokenizer, ids),
            "tokens": len(ids),
            "ended": ids[-1] in stops,
        }
