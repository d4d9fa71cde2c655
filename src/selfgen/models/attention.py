"""One attention function for models of transformers, with three ways to lay out tokens.

Without a ``layout`` it is transformers' sdpa, except that one new token under grouped
queries reads the cached keys and values in place: with one query position a group of query
heads is a run of query positions of one key head.

With a ``layout`` the model is given the tokens of many rows as one sequence of batch 1, so
that no layer computes padding, and the layout alone knows which row each token is of:
``Packed`` (whole rows, for training) here, ``KVCache`` (new tokens of rows whose past is
cached) in ``selfgen.generation.kv_cache``. transformers passes keyword arguments of a model
through to the attention function; its own continuous batching relies on the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention

NAME = "selfgen"

LAYERS = ("full_attention", "sliding_attention")
"""Kinds of layers, as configs of transformers name them, that a layout can compute."""


class Layout(Protocol):
    """Attention over tokens of many rows that stand one after the other."""

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
        """``query`` [tokens, heads, size], ``key`` and ``value`` [tokens, key heads,
        size]; returns [tokens, heads, size]. ``window``: positions that a token sees,
        itself included, or all. ``dropout``: share of attention that is left out."""


def use(model: Any) -> bool:
    """Let a model attend this way; False, and nothing changed, where it cannot.

    It cannot where a token takes from others by more than plain or sliding-window attention:
    recurrent states, chunks, sinks, soft caps or position biases (which transformers' own
    sdpa does not compute either).
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    config = inner.config.get_text_config(decoder=True)
    plain = (
        getattr(inner, "_supports_attention_backend", False)
        and getattr(inner, "_supports_sdpa", False)
        and not getattr(inner, "_is_stateful", False)
        and not getattr(config, "attention_chunk_size", None)
        and set(getattr(config, "layer_types", None) or []) <= set(LAYERS)
    )
    if not plain:
        return False
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    inner.set_attn_implementation(NAME)
    return True


@torch.compiler.disable  # type: ignore[untyped-decorator]
def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    layout: Layout | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers' attention functions: ``query`` [rows, heads, length, size], ``key``
    and ``value`` [rows, key heads, past, size]; returns [rows, length, heads, size].

    Compiled layers call it from outside their graphs: a layout is another in each batch.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if layout is not None:
        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        out = layout.attend(module.layer_idx, q, k, v, scaling, sliding_window, dropout)
        return out[None], None
    rows, heads, length, size = query.shape
    if length > 1 or heads == key.shape[1]:
        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            scaling=scaling,
            dropout=dropout,
            **others,
        )
    out = scaled_dot_product_attention(
        query.view(rows, key.shape[1], heads // key.shape[1], size),
        key,
        value,
        attn_mask=attention_mask,
        dropout_p=dropout,
        scale=scaling,
    )
    return out.reshape(rows, 1, heads, size), None


def forward_flat(
    body: Any, input_ids: torch.Tensor, positions: torch.Tensor, layout: Layout
) -> torch.Tensor:
    """States [tokens, size] of a decoder for ``input_ids`` and ``positions`` [tokens]."""
    # A mask of four dimensions is passed on untouched, so transformers builds none.
    unused = input_ids.new_zeros((1, 1, 0, 0), dtype=torch.bool)
    return body(
        input_ids=input_ids[None],
        attention_mask=unused,
        position_ids=positions[None],
        use_cache=False,
        layout=layout,
    )[0][0]


def has_varlen(tensor: torch.Tensor, groups: bool) -> bool:
    """Does torch's flash attention read rows of different lengths without padding here?"""
    if not tensor.is_cuda or tensor.dtype not in (torch.bfloat16, torch.float16):
        return False
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    known = inspect.signature(varlen_attn).parameters
    return "window_size" in known and ("enable_gqa" in known or not groups)


class Packed:
    """Whole rows one after the other, each of which sees itself alone.

    Where torch's flash attention takes rows of different lengths, nothing is padded; else
    only attention is, and every other layer sees the tokens alone.

    Args:
        lengths: tokens of each row, on the host.
    """

    def __init__(self, lengths: Sequence[int], device: Any) -> None:
        rows, self.longest = len(lengths), max(lengths)
        counts = torch.tensor(lengths)
        ends = counts.cumsum(0)
        starts = ends - counts
        within = torch.arange(int(ends[-1])) - starts.repeat_interleave(counts)
        line = torch.arange(rows).repeat_interleave(counts)
        self.rows = rows
        self.positions = within.to(device)
        """[tokens]: the position of each token in its row."""
        self.places = (line * self.longest + within).to(device)
        self.full = rows * self.longest == int(ends[-1])
        self.bounds = torch.cat([starts[:1], ends]).int().to(device)

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
        """See ``Layout``."""
        groups, dtype = query.shape[1] != key.shape[1], value.dtype
        # Under autocast rotary embeddings leave queries and keys in fp32.
        query, key = query.to(dtype), key.to(dtype)
        if not dropout and has_varlen(value, groups):
            from torch.nn.attention.varlen import varlen_attn

            options: dict[str, Any] = {"enable_gqa": True} if groups else {}
            return varlen_attn(  # type: ignore[return-value]  # a tuple if asked for
                query.contiguous(),
                key.contiguous(),
                value.contiguous(),
                self.bounds,
                self.bounds,
                self.longest,
                self.longest,
                scale=scaling,
                window_size=(-1 if window is None else window - 1, 0),
                **options,
            )
        mask = None
        if window is not None and window < self.longest:
            place = torch.arange(self.longest, device=query.device)
            behind = place[:, None] - place
            mask = (behind >= 0) & (behind < window)
        # In bf16 torch's kernel for CPUs takes more than twice the time of fp32.
        exact = dtype == torch.bfloat16 and value.device.type == "cpu"
        if exact:
            query, key, value = query.float(), key.float(), value.float()
        q, k, v = (self._pad(x) for x in (query, key, value))
        with torch.autocast("cpu", enabled=False) if exact else nullcontext():
            out = scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=mask,
                dropout_p=dropout,
                is_causal=mask is None,
                scale=scaling,
                enable_gqa=groups,
            )
        out = out.transpose(1, 2).flatten(0, 1)
        return (out if self.full else out[self.places]).to(dtype)

    def _pad(self, x: torch.Tensor) -> torch.Tensor:
        """[tokens, heads, size] -> [rows, heads, longest, size]."""
        if not self.full:
            wide = x.new_zeros((self.rows * self.longest, *x.shape[1:]))
            x = wide.index_copy(0, self.places, x)
        return x.view(self.rows, self.longest, *x.shape[1:]).transpose(1, 2)


def fold_groups(query: torch.Tensor, key_heads: int) -> torch.Tensor:
    """[rows, length, heads, size] -> [rows, key heads, group * length, size]: the query
    heads of one key head as further query positions, so that keys are read in place."""
    rows, length, heads, size = query.shape
    grouped = query.view(rows, length, key_heads, heads // key_heads, size)
    return grouped.permute(0, 2, 3, 1, 4).reshape(rows, key_heads, -1, size)


def unfold_groups(out: torch.Tensor, length: int) -> torch.Tensor:
    """The inverse: [rows, key heads, group * length, size] -> [rows, length, heads, size]."""
    rows, key_heads, _, size = out.shape
    grouped = out.view(rows, key_heads, -1, length, size)
    return grouped.permute(0, 3, 1, 2, 4).reshape(rows, length, -1, size)
