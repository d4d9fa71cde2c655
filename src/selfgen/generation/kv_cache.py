"""A key-value cache whose rows are at different positions, and attention over it.

Each row has a slot of fixed capacity, which holds the key and value of position p at place
p. A step takes any number of new tokens of any rows, flat and without padding. They
overwrite what the slot held at those positions, and no token attends to a later place than
its own, so a wrong guess needs no clean-up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from selfgen.models.attention import fold_groups, unfold_groups

SHORT = 16
"""Longest span that is batched with padding, in one attention call over the whole cache."""

ROUND = 16
"""Attention covers a multiple of this number of places: fewer shapes, and aligned ones."""


BACKENDS = [
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
"""Without cuDNN, which makes a new plan for every shape: here almost every step has one."""


@dataclass(frozen=True)
class _Group:
    """Spans that attend in one padded call.

    ``slots``: the slots, or None for all, in place; ``queries`` [slots, longest]: flat
    indices, arbitrary where there is no query; ``tokens``: flat indices of the group;
    ``places``: where they are in ``queries``; ``last`` [slots, longest]: the position of each
    query.
    """

    slots: torch.Tensor | None
    queries: torch.Tensor
    tokens: torch.Tensor
    places: torch.Tensor
    last: torch.Tensor


class KVCache:
    """Keys and values of ``rows`` slots with ``capacity`` places, on one device."""

    def __init__(self, rows: int, capacity: int, device: Any) -> None:
        self.rows, self.device = rows, device
        self.capacity = -(-capacity // ROUND) * ROUND
        self.layers: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}
        """Keys and values of a layer, by its number and that of its call in a step."""

        self.calls: Counter[int] = Counter()
        self.masks: dict[tuple[int, int | None], torch.Tensor] = {}

    def step(self, slots: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Any:
        """Announce the next tokens: of each of ``slots`` (ascending) the positions from
        ``starts`` to ``ends``, one span after the other. Returns their positions."""
        lengths = ends - starts
        first = np.cumsum(lengths) - lengths
        within = np.arange(lengths.sum()) - np.repeat(first, lengths)
        positions = within + np.repeat(starts, lengths)
        self.visible = -(-int(ends.max()) // ROUND) * ROUND
        self.masks.clear()
        self.calls.clear()
        self.address = self._tensor(
            np.repeat(slots, lengths) * self.capacity + positions
        )
        self.groups = self._make_groups(slots, starts, lengths, first)
        return self._tensor(positions)

    def copy_prefix(self, length: int) -> None:
        """Give every slot the first ``length`` places of slot 0."""
        for pair in self.layers.values():
            for flat in pair:
                table = flat.view(self.rows, self.capacity, *flat.shape[1:])
                table[1:, :length] = table[:1, :length]

    def keep(self, slots: list[int]) -> None:
        """Go on with these slots alone, renumbered from 0."""
        index = torch.tensor(slots, device=self.device)
        for layer, pair in self.layers.items():
            keys, values = (
                x.view(self.rows, self.capacity, *x.shape[1:])[index].flatten(0, 1)
                for x in pair
            )
            self.layers[layer] = (keys, values)
        self.rows = len(slots)

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float | None,
        window: int | None,
        dropout: float,
    ) -> torch.Tensor:
        """Write the new keys and values, then attend; see
        ``models.attention.Layout``. Nothing drops out: it is for generation."""
        call = (layer, self.calls[layer])
        self.calls[layer] += 1
        if call not in self.layers:
            places = self.rows * self.capacity
            self.layers[call] = (
                key.new_zeros((places, *key.shape[1:])),
                value.new_zeros((places, *value.shape[1:])),
            )
        keys, values = self.layers[call]
        keys.index_copy_(0, self.address, key)
        values.index_copy_(0, self.address, value)
        if len(self.groups) == 1:  # its tokens are all, and in order
            return self._attend(0, query, keys, values, scaling, window)
        out = value.new_empty((*query.shape[:2], value.shape[-1]))
        for number, group in enumerate(self.groups):
            states = self._attend(number, query, keys, values, scaling, window)
            out[group.tokens] = states
        return out

    def _attend(
        self,
        number: int,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        scaling: float | None,
        window: int | None,
    ) -> torch.Tensor:
        """States of the tokens of the group of that number."""
        group, heads = self.groups[number], keys.shape[1]
        past_keys, past_values = (
            x.view(self.rows, self.capacity, *x.shape[1:])[:, : self.visible]
            for x in (keys, values)
        )
        if group.slots is not None:
            past_keys, past_values = past_keys[group.slots], past_values[group.slots]
        with sdpa_kernel(BACKENDS):
            states = scaled_dot_product_attention(
                fold_groups(query[group.queries], heads),
                past_keys.transpose(1, 2),
                past_values.transpose(1, 2),
                attn_mask=self._mask(number, query, query.shape[1] // heads, window),
                scale=scaling,
            )
        states = unfold_groups(states, group.queries.shape[1]).flatten(0, 1)
        return states[group.places]

    def _mask(
        self,
        number: int,
        query: torch.Tensor,
        heads: int,
        window: int | None,
    ) -> torch.Tensor:
        """Additive [slots, 1, heads of a group * longest, places], the same for all layers
        of a kind."""
        if (number, window) not in self.masks:
            place = torch.arange(self.visible, device=self.device)
            last = self.groups[number].last[..., None]
            seen = place <= last
            if window is not None:
                seen &= place > last - window
            mask = torch.zeros(seen.shape, dtype=query.dtype, device=self.device)
            mask.masked_fill_(~seen, -torch.inf)
            mask = mask.repeat(1, heads, 1)[:, None]
            self.masks[number, window] = mask
        return self.masks[number, window]

    def _make_groups(self, *spans: np.ndarray) -> list[_Group]:
        """Short spans over the whole cache in place; long ones, which are few and new,
        over a copy of their slots, unless all slots have one."""
        short = spans[2] <= SHORT
        groups = []
        if short.any():
            groups.append(self._group(*(x[short] for x in spans), everything=True))
        if not short.all():
            everything = len(spans[0]) == self.rows and not short.any()
            long = (x[~short] for x in spans)
            groups.append(self._group(*long, everything=everything))
        return groups

    def _group(
        self,
        slots: np.ndarray,
        starts: np.ndarray,
        lengths: np.ndarray,
        first: np.ndarray,
        *,
        everything: bool,
    ) -> _Group:
        longest = int(lengths.max())
        line = slots if everything else np.arange(len(slots))
        queries = np.zeros((self.rows if everything else len(slots), longest), np.int64)
        last = np.zeros_like(queries)
        column = np.arange(longest)
        valid = column < lengths[:, None]
        queries[line] = np.where(valid, first[:, None] + column, 0)
        last[line] = np.where(valid, starts[:, None] + column, 0)
        places = (line[:, None] * longest + column)[valid]
        return _Group(
            None if everything else self._tensor(slots),
            self._tensor(queries),
            self._tensor((first[:, None] + column)[valid]),
            self._tensor(places),
            self._tensor(last),
        )

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device, non_blocking=True)
