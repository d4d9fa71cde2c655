"""A causal LM in two halves: the tokens of rows to states, and states to logits.

Logits come from the model's own ``forward``, so whatever it does behind its decoder
(scaling, soft caps, another head) is done. How rows are read is a *way*:

- ``flat``: all tokens as one sequence, attention alone knows the rows (``attention``);
- ``padded``: rows padded on the right, where a causal model needs no mask;
- ``whole``: the model's plain ``forward``, row by row; its logits stand for the states.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from selfgen.core.errors import UserError
from selfgen.models import attention, rope

WAYS = ("flat", "padded", "whole")
"""The faster ones first."""


class Reader:
    """A model, the decoder in it, and the way in which it is read.

    ``flat`` has the model attend by ``attention`` (see ``attention.use``). ``alike``: the
    most tokens of a row that changes no row beside it, where there is such a limit
    (``rope.longest_alike``).
    """

    def __init__(self, model: Any, decoder: Any, way: str) -> None:
        self.model, self.decoder, self.way = model, decoder, way
        self.alike = rope.longest_alike(model)
        self.positions = positions(
            model, base_of(model) if decoder is None else decoder
        )

    @property
    def device(self) -> torch.device:
        found: torch.device = self.model.device
        return found

    @property
    def config(self) -> Any:
        """Of the text model."""
        return base_of(self.model).config.get_text_config(decoder=True)

    @property
    def vocabulary(self) -> int:
        """Rows of the head."""
        return vocabulary_of(self.model)

    def states(self, input_ids: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """States [tokens, size] of rows of ``lengths`` that stand one after the other.

        Raises UserError: a row that is longer than the model has positions.
        """
        self.check(max(lengths))
        with self._naming(max(lengths)):
            if self.alike is None or max(lengths) <= self.alike:
                return self._states(input_ids, lengths)
            rows = input_ids.split(list(lengths))
            return torch.cat([self._states(row, [len(row)]) for row in rows])

    @contextmanager
    def _naming(self, tokens: int) -> Iterator[None]:
        """Raises UserError where the model refuses rows of so many tokens."""
        try:
            yield
        except (IndexError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            name = type(base_of(self.model)).__name__
            raise UserError(
                f"model: {name} cannot read a row of {tokens} tokens: {said}"
            ) from error

    def check(self, tokens: int) -> None:
        """Raises UserError where a row of so many tokens is beyond the model's positions."""
        if self.positions is not None and tokens > self.positions:
            raise UserError(
                f"model: found a row of {tokens} tokens, {type(base_of(self.model)).__name__}"
                f" has positions for {self.positions}; lower max_prompt_tokens or"
                " max_new_tokens"
            )

    def check_ids(
        self, name: str, ids: Sequence[int], labels: Sequence[int] = ()
    ) -> None:
        """Raises UserError where the model has no embedding for one of ``ids`` of the row
        ``name``, or its head no row for one of ``labels``."""
        embedded = len(self.model.get_input_embeddings().weight)
        for known, found in ((embedded, ids), (self.vocabulary, labels)):
            if len(found) and not 0 <= min(found) <= max(found) < known:
                strange = next(i for i in found if not 0 <= i < known)
                raise UserError(
                    f"row {name}: found token {strange}, allowed with"
                    f" {type(base_of(self.model)).__name__}: 0 to {known - 1}"
                )

    def _states(self, input_ids: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        if self.alike is not None:
            rope.forget(self.model)
        if self.way == "flat":
            layout = attention.Packed(lengths, input_ids.device)
            return attention.forward_flat(
                self.decoder, input_ids, layout.positions, layout
            )
        rows = input_ids.split(list(lengths))
        if self.way == "whole":
            return torch.cat([plain_logits(self.model, row) for row in rows])
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        states = self.decoder(input_ids=padded, use_cache=False)[0]
        return torch.cat([row[:n] for row, n in zip(states, lengths, strict=True)])

    def step(
        self,
        input_ids: torch.Tensor,
        mask: torch.Tensor,
        positions: torch.Tensor,
        cache: Any,
    ) -> torch.Tensor:
        """States [rows, size] of the last of the new tokens [rows, new] of rows whose past is
        in ``cache``; ``mask`` [rows, past and new] is 0 where rows are padded on the left."""
        body = self.model if self.way == "whole" else self.decoder
        with self._naming(mask.shape[1]):
            out = body(
                input_ids=input_ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
        states: torch.Tensor = out.logits if self.way == "whole" else out[0]
        return states[:, -1]

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Logits [n, vocabulary] of ``states`` [n, size]."""
        if self.way == "whole":
            return states.clone()  # those who rule tokens out write into logits
        return own_logits(self.model, self.decoder, states)


def positions(model: Any, decoder: Any) -> int | None:
    """How many positions a decoder has embeddings or a table for; None where it computes
    them. Those of other parts, for images or sounds, do not count."""
    tokens = model.get_input_embeddings()
    sizes = [
        module.num_embeddings
        - getattr(module, "offset", 0)
        # RoBERTa's are counted from behind that of padding.
        - (0 if module.padding_idx is None else module.padding_idx + 1)
        for name, module in decoder.named_modules()
        if isinstance(module, torch.nn.Embedding)
        and module is not tokens
        and not re.search(r"vis|image|audio|encoder\.", name)
        and re.search(r"pos|wpe", name.rpartition(".")[2])
    ]
    tables = [
        len(value)
        for module in decoder.modules()
        for name, value in {
            **vars(module),
            **dict(module.named_buffers(recurse=False)),
        }.items()
        if isinstance(value, torch.Tensor)
        and value.ndim == 2
        and value.is_floating_point()
        and re.search(r"(^|_)pos", name)
    ]
    return min(sizes + tables, default=None)


def plain_logits(model: Any, row: torch.Tensor) -> torch.Tensor:
    """Logits [tokens, vocabulary] of one row by the model's ``forward`` alone, without a
    cache. Virtual tokens of an adapter, which stand first, have none."""
    rope.forget(model)
    logits: torch.Tensor = model(input_ids=row[None], use_cache=False).logits[0]
    return logits[-len(row) :]


def own_logits(model: Any, decoder: Any, states: torch.Tensor) -> torch.Tensor:
    """Logits [n, vocabulary] of ``states`` [n, size] as the model's ``forward`` makes them
    of its decoder's states."""
    unused = torch.zeros((1, len(states)), dtype=torch.int64, device=states.device)
    with _returning(decoder, states[None]):
        logits: torch.Tensor = base_of(model)(input_ids=unused, use_cache=False).logits[
            0
        ]
    return logits


def vocabulary_of(model: Any) -> int:
    """Rows of the head of a causal LM."""
    head = model.get_output_embeddings()
    if head is None:
        return int(base_of(model).config.get_text_config(decoder=True).vocab_size)
    return len(head.weight)


def base_of(model: Any) -> Any:
    """The causal LM itself, also where an adapter is around it."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def decoders(model: Any) -> Iterator[Any]:
    """The parts of a causal LM that may be its decoder, the likely ones first."""
    inner = base_of(model)
    seen = {id(inner)}
    for part in (
        inner.base_model,
        inner.get_decoder() if hasattr(inner, "get_decoder") else None,
        getattr(inner, "model", None),
    ):
        if isinstance(part, torch.nn.Module) and id(part) not in seen:
            seen.add(id(part))
            yield part


class _States:
    """What a decoder returns, with its states and nothing else."""

    def __init__(self, states: torch.Tensor) -> None:
        self.last_hidden_state = states

    def __getitem__(self, index: int) -> torch.Tensor | None:
        return self.last_hidden_state if index == 0 else None

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def _returning(decoder: Any, states: torch.Tensor) -> Iterator[None]:
    own = decoder.__dict__.get("forward")  # a wrapper, such as one that moves weights
    decoder.forward = lambda *_, **__: _States(states)
    try:
        yield
    finally:
        if own is None:
            del decoder.forward
        else:
            decoder.forward = own
