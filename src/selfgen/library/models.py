"""A model that a caller has, or the folder of one, made ready to generate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from selfgen.core.errors import UserError, naming
from selfgen.core.spec import Device
from selfgen.data.chat_templates import CHATS
from selfgen.data.prompts import any_tokenizer, load_tokenizer
from selfgen.data.turns import checked
from selfgen.generation import engines
from selfgen.models import probe
from selfgen.models.loading import load_for_generation
from selfgen.models.reader import base_of


@contextmanager
def opened(
    model: Any, tokenizer: Any, where: Device, chat: str = ""
) -> Iterator[tuple[Any, Any]]:
    """``(model, tokenizer)`` as passes take them. A caller's own model runs where it is, and
    gets its mode and its attention back. ``chat``: the name of a template for a folder's
    tokenizer that has none.

    Raises UserError: no model, no tokenizer beside it, or one without a chat template.
    """
    if isinstance(model, str | Path):
        tokenizer = tokenizer or _tokenizer(model, chat)
        found, *_ = load_for_generation(model, where, engines.try_out)
        yield found, tokenizer
        return
    probe.is_model(model)
    if tokenizer is None:
        raise UserError(
            "tokenizer: found none, allowed: that of the model, which is no folder"
        )
    checked(tokenizer)
    config = base_of(model).config
    attention, training = config._attn_implementation, model.training
    model.eval()
    try:
        with torch.no_grad():
            engines.try_out(model)
        yield model, tokenizer
    finally:
        model.train(training)
        if config._attn_implementation != attention:
            base_of(model).set_attn_implementation(attention)


def _tokenizer(folder: str | Path, chat: str) -> Any:
    if not chat:
        return load_tokenizer(folder)
    tokenizer = any_tokenizer(folder)
    if tokenizer.chat_template is None:
        tokenizer.chat_template = CHATS[chat]
    with naming(folder):
        checked(tokenizer)
    return tokenizer
