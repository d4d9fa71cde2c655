"""Which way reads a model right: found by trying, before anything is computed with it.

A few short rows of addressed noise go through the model's plain ``forward``, row by row and
without a cache, and through a way; where logits (and, for training, gradients) agree, that
way is taken, else the next slower one. Windows, chunks and blocks of attention that are
longer than these rows are shortened meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch.nn.functional import cross_entropy

from selfgen.core.errors import UserError
from selfgen.core.rng import row_key, uniform
from selfgen.models import attention
from selfgen.models.reader import (
    WAYS,
    Reader,
    base_of,
    decoders,
    plain_logits,
    vocabulary_of,
)
from selfgen.models.verdicts import Verdicts

log = logging.getLogger(__name__)

LENGTHS = (13, 5, 9)
"""Tokens of the probe's rows."""

SPANS = (
    "sliding_window",
    "attention_chunk_size",
    "index_topk",
    "block_size",  # of MiniMax M3, as the next
    "topk_blocks",
    "chunk_length",  # of Reformer, as the next
    "lsh_attn_chunk_length",
    "local_attn_chunk_length",
)
"""How many tokens one token attends to, or in what blocks, as configurations and layers name
it."""

WINDOW = 4
"""The most that these are while a model is tried."""

PREFIXES = (4, 9)
"""Lengths at which the first row is also read alone: a causal model does not see what comes
later."""

TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Largest root mean square of differences, as a share of that of the values. Of the classes
of transformers 5.23 wrong ways differ by 3e-2 and more, right ones by 1e-4 at most."""

HALF = 0.25
"""The same in half precision, and under autocast to it: rounding alone makes up to 0.1 of
SmolLM2-135M in bf16. So a model is tried in fp32 first, where that can be."""

GRADIENTS = 3
"""So many of the last parameters' gradients are compared."""

verdicts = Verdicts(__name__)
_exact: dict[str, str] = {}
"""The ways that this process knows to be right in fp32, whatever the device."""


def reader(model: Any, *, gradients: bool = False) -> Reader:
    """The model, read in the fastest way that agrees with its plain ``forward``.

    ``gradients``: compare those of the last parameters, too, for training. ``verdicts``
    keeps what was found of models of the same class, configuration, adapter, dtype and
    device; in half precision no way is tried that was wrong in fp32. ``model`` is changed
    to attend by ``selfgen.models.attention`` where it is read ``flat``.

    Raises UserError: the plain ``forward`` fails, gives what is no number, or reads ahead.
    """
    is_model(model)
    key, same = key_of(model, gradients), same_of(model, gradients)
    parts = list(decoders(model))
    way, part, error = verdicts.get(key) or (None, 0, 0.0)
    if way is None or (way == "flat" and not attention.use(model)):
        ways = WAYS[WAYS.index(_exact.get(same, WAYS[0])) :]
        with still(model), torch.set_grad_enabled(gradients):
            way, part, error = _choose(model, parts, gradients, ways)
        verdicts.keep(key, (way, part, error))
    if not is_half(model):
        _exact[same] = way
    log.info("%s is read %s (differs by %.0e)", name_of(model), way, error)
    return Reader(model, parts[part] if parts else None, way)


def is_model(model: Any) -> None:
    """Raises UserError unless something is a model of transformers."""
    if not isinstance(model, torch.nn.Module) or not hasattr(base_of(model), "config"):
        raise UserError(
            f"model: found {type(model).__name__}, allowed: a causal LM of transformers"
        )


def _choose(
    model: Any, parts: Sequence[Any], gradients: bool, ways: Sequence[str]
) -> tuple[str, int, float]:
    """The way, the number of the part of ``parts`` that it runs, and the difference."""
    rows = noise(tokens_of(model), LENGTHS, model.device)
    expected = _expected(model, rows)
    wanted = _gradients(model, expected, rows) if gradients else []
    limit = tolerance(expected[0])
    for way in ways[:-1]:
        before = base_of(model).config._attn_implementation
        if way == "flat" and not attention.use(model):
            continue
        for number, part in enumerate(parts):
            candidate = Reader(model, part, way)
            error = tried(partial(_error, candidate, rows, expected, wanted))
            if error <= limit:
                return way, number, error
            log.info("%s is not read %s: %s", name_of(model), way, error)
        if way == "flat":
            base_of(model).set_attn_implementation(before)
    return "whole", 0, 0.0


def noise(vocabulary: int, lengths: Sequence[int], device: Any) -> list[torch.Tensor]:
    """Token ids of rows of such lengths."""
    keys = torch.tensor([row_key(0, "probe", n) for n in range(len(lengths))])
    drawn = uniform(keys[:, None], torch.arange(max(lengths))[None]) * vocabulary
    return [row[:n].to(device) for row, n in zip(drawn.long(), lengths, strict=True)]


def tolerance(logits: torch.Tensor) -> float:
    """How far values of this kind may differ from what they should be."""
    return TOLERANCE.get(logits.dtype, HALF)


def difference(
    found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]
) -> float:
    """Root mean square of the differences, as a share of that of the expected values around
    their mean. Infinite where shapes differ."""
    if [x.shape for x in found] != [x.shape for x in expected]:
        return float("inf")
    off = size = 0.0
    for a, b in zip(found, expected, strict=True):
        a, b = (x.detach().cpu().double() for x in (a, b))  # mps has none
        ruled_out = b == -torch.inf  # as heads do with rows that they pad
        if not torch.equal(a == -torch.inf, ruled_out):
            return float("inf")
        a, b = (x.masked_fill(ruled_out, 0.0) for x in (a, b))
        off += float((a - b).square().sum())
        size += float((b - b.mean(-1, keepdim=True)).square().sum())
    share = (off / size) ** 0.5 if size else float(off > 0)
    return share if share == share else float("inf")


def _expected(model: Any, rows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Logits of the plain ``forward``."""
    name = name_of(model)
    try:
        expected = [plain_logits(model, row) for row in rows]
        with torch.no_grad():
            alone = [plain_logits(model, rows[0][:n])[-1] for n in PREFIXES]
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"model: {name} cannot read a row of tokens: {said}") from error
    if any(bool((x.isnan() | (x == torch.inf)).any()) for x in expected):
        raise UserError(f"model: the logits of {name} are not finite")
    ahead = difference(alone, [expected[0][n - 1] for n in PREFIXES])
    if ahead > tolerance(expected[0]):
        raise UserError(
            f"model: {name} reads ahead: with later tokens its logits differ by"
            f" {ahead:.2g} of their size; allowed: causal models"
        )
    return expected


def _error(
    candidate: Reader,
    rows: Sequence[torch.Tensor],
    expected: Sequence[torch.Tensor],
    wanted: Sequence[torch.Tensor],
) -> float:
    """Of logits, of the first row without the others, and of gradients; the largest."""
    states = candidate.states(torch.cat(list(rows)), LENGTHS)
    logits = candidate.logits(states).split(LENGTHS)
    alone = candidate.logits(candidate.states(rows[0], LENGTHS[:1]))
    errors = [difference(logits, expected), difference([alone], expected[:1])]
    if wanted:
        errors.append(difference(_gradients(candidate.model, logits, rows), wanted))
    return max(errors)


def _gradients(
    model: Any, logits: Sequence[torch.Tensor], rows: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Of the summed loss of the rows, by the last parameters that are trained."""
    losses = [
        cross_entropy(x[:-1].float(), row[1:], reduction="sum")
        for x, row in zip(logits, rows, strict=True)
    ]
    loss = torch.stack(losses).sum()
    if not loss.requires_grad:
        return []
    trained = [p for p in model.parameters() if p.requires_grad][-GRADIENTS:]
    made = torch.autograd.grad(loss, trained, allow_unused=True, retain_graph=False)
    return [torch.zeros(1) if g is None else g.flatten() for g in made]


def tried(compare: Callable[[], float]) -> float:
    """A way that fails is a way that does not agree, whatever it fails with."""
    try:
        return compare()
    except Exception as error:
        if should_reduce_batch_size(error):
            raise
        log.debug("a way failed", exc_info=error)
        return float("inf")


@contextmanager
def still(model: Any) -> Iterator[None]:
    """Without dropout, and with windows of attention that are shorter than the rows."""
    training = model.training
    model.eval()
    holders = [base_of(model).config.get_text_config(decoder=True), *model.modules()]
    long = [
        (holder, name, span)
        for holder in holders
        for name in SPANS
        if type(span := getattr(holder, name, None)) is int and span > WINDOW
    ]
    for holder, name, _ in long:
        setattr(holder, name, WINDOW)
    try:
        yield
    finally:
        for holder, name, span in long:
            setattr(holder, name, span)
        model.train(training)


def tokens_of(model: Any) -> int:
    """How many tokens a model both reads and draws. Some embed more, such as an image's
    place."""
    return min(len(model.get_input_embeddings().weight), vocabulary_of(model))


def name_of(model: Any) -> str:
    return type(base_of(model)).__name__


def key_of(model: Any, *more: Any) -> str:
    """The same for models that are read alike."""
    return same_of(model, model.dtype, model.device.type, is_half(model), *more)


def same_of(model: Any, *more: Any) -> str:
    """The same for models that are read alike but for precision and device."""
    adapters = getattr(model, "peft_config", None)
    config = base_of(model).config.to_json_string()
    return repr((type(base_of(model)), config, adapters, *more))


def is_half(model: Any) -> bool:
    cast = torch.is_autocast_enabled(model.device.type)
    return cast or model.dtype not in TOLERANCE
