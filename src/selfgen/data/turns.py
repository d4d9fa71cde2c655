"""What a chat template makes of a dialogue: rendered text, its ids, and where a turn ends.

A turn ends with what the template writes after an assistant's answer, which need not be the
tokenizer's EOS: Gemma closes with ``<end_of_turn>``, Phi-3 with ``<|end|>``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.core.errors import UserError

CURE = "name another by models.NAME.chat, such as `chat: chatml`"

_ANSWER = "selfgen"
"""A word that templates leave as it is."""

_PRIVATE = 0xE000
"""First of the characters that stand for control tokens while a template is rendered."""

Messages = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Turns:
    """``end``: the token that closes an assistant's turn. ``before``: text that the template
    writes between an answer and that token. ``written``: whether the template writes it;
    else ``end`` is the tokenizer's EOS. ``special``: ids of all control tokens. ``known``:
    ids that have a token. ``eos``: the tokenizer's, or the turn's end where it has none."""

    end: int
    before: str
    written: bool
    eos: int
    special: frozenset[int]
    known: frozenset[int]

    def stops(self, eos: int | Iterable[int] | None = None) -> frozenset[int]:
        """The tokens that end an answer: the turn's end and ``eos``, those of the model's
        ``generation_config``."""
        more = {eos} if isinstance(eos, int) else set(eos or ())
        return frozenset({self.end} | more)

    def banned(self, size: int, allowed: Iterable[int] = ()) -> list[int]:
        """Ids that are never drawn from a head with ``size`` rows: control tokens that are
        not ``allowed``, and rows without a token."""
        kept = (self.known - self.special) | set(allowed)
        return sorted(set(range(size)) - kept)


def turns(tokenizer: Any) -> Turns:
    """What a tokenizer and its chat template say of turns.

    Without a chat template, and where it closes no turn, the end is EOS.

    Raises UserError: there is no EOS either.
    """
    says = (str(tokenizer.chat_template), len(tokenizer), tokenizer.eos_token_id)
    return _turns(tokenizer, *says)


def checked(tokenizer: Any) -> None:
    """Raises UserError where nothing says how a turn is written or closed."""
    _templated(tokenizer)
    turns(tokenizer)


def _templated(tokenizer: Any) -> None:
    if not tokenizer.chat_template:
        raise UserError(f"tokenizer: it has no chat template; {CURE}")


@functools.lru_cache(maxsize=16)
def _turns(tokenizer: Any, template: str, size: int, eos: int | None) -> Turns:
    control = _control(tokenizer, len(tokenizer))
    after = _after_answer(tokenizer)
    places = [(after.find(text), -len(text), text) for text in control if text in after]
    place, _, closing = min(places, default=(0, 0, ""))
    end = control[closing] if closing else tokenizer.eos_token_id
    if end is None:
        raise UserError(
            "tokenizer: it has no EOS token, and its chat template closes no turn;"
            f" {CURE}"
        )
    return Turns(
        end=end,
        before=after[:place],
        written=bool(closing),
        eos=end if tokenizer.eos_token_id is None else tokenizer.eos_token_id,
        special=frozenset(control.values()),
        known=frozenset(tokenizer.get_vocab().values()),
    )


def _after_answer(tokenizer: Any) -> str:
    """What the template writes after an answer; nothing where it takes but one turn, or
    where there is none."""
    turn = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": _ANSWER},
    ]
    try:
        rendered = render(tokenizer, turn, opened=False)
    except UserError:
        return ""
    if _ANSWER not in rendered:
        raise UserError(f"chat template: it does not write the text of a turn; {CURE}")
    return rendered.rpartition(_ANSWER)[2]


@functools.lru_cache(maxsize=16)
def _control(tokenizer: Any, size: int) -> dict[str, int]:
    """Control tokens by their text: those that have a role, and those that were added as
    special ones. ``size``: of the vocabulary, which may have grown since the last call."""
    added = tokenizer.added_tokens_decoder.items()
    found = {str(token): number for number, token in added if token.special}
    roles = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return found | {text: number for text, number in roles if number is not None}


def render(tokenizer: Any, messages: Messages, *, opened: bool) -> str:
    """The text of a dialogue; ``opened``: with the opening of the answer that follows.

    Raises UserError where the template refuses it.
    """
    from jinja2 import TemplateError

    _templated(tokenizer)
    try:
        text: str = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=opened
        )
    except (TemplateError, TypeError, ValueError, LookupError) as error:
        roles = ", ".join(message["role"] for message in messages)
        said = " ".join(str(error).split())
        raise UserError(
            f"chat template: it refuses turns of {roles}: {said}; {CURE}"
        ) from None
    return text


def dialogue_ids(
    tokenizer: Any, messages: Messages, *, opened: bool, control: bool = False
) -> list[int]:
    """Token ids of a dialogue as the template renders it. Control tokens that stand in the
    text of a message stay text, unless ``control``."""
    if control:
        return text_ids(
            tokenizer, render(tokenizer, messages, opened=opened), control=True
        )
    names = _standing(tokenizer, [message["content"] for message in messages])
    hidden = [
        message | {"content": _hide(message["content"], names)} for message in messages
    ]
    return _reveal(tokenizer, render(tokenizer, hidden, opened=opened), names)


def text_ids(tokenizer: Any, text: str, *, control: bool = False) -> list[int]:
    """Token ids of a text without template; control tokens in it stay text, unless
    ``control``."""
    names = {} if control else _standing(tokenizer, [text])
    return _reveal(tokenizer, _hide(text, names), names)


def _standing(tokenizer: Any, texts: Sequence[str]) -> dict[str, str]:
    """The control tokens that stand in some texts, by characters that stand in none."""
    standing = [
        control
        for control in sorted(
            _control(tokenizer, len(tokenizer)), key=len, reverse=True
        )
        if any(control in text for text in texts)
    ]
    used = {character for text in texts for character in text}
    free = (chr(n) for n in range(_PRIVATE, _PRIVATE + 0x1900) if chr(n) not in used)
    return {next(free): control for control in standing}


def _hide(text: str, names: dict[str, str]) -> str:
    for character, control in names.items():
        text = text.replace(control, character)
    return text


def _reveal(tokenizer: Any, text: str, names: dict[str, str]) -> list[int]:
    """Ids of a text whose hidden control tokens are read as text: tokenizers divide a text at
    a control token anyway, so what stands around them has the ids that it has alone."""
    ids: list[int] = []
    rest = ""
    for character in text:
        if character in names:
            ids += _ids(tokenizer, rest) if rest else []
            ids += _ids(tokenizer, names[character], split_special_tokens=True)
            rest = ""
        else:
            rest += character
    return ids + (_ids(tokenizer, rest) if rest or not ids else [])


def _ids(tokenizer: Any, text: str, **options: Any) -> list[int]:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"text: found the lone surrogate U+{ord(text[error.start]):04X} in"
            f" {text[:40]!a}; allowed: Unicode text"
        ) from None
    ids: list[int] = tokenizer(text, add_special_tokens=False, **options)["input_ids"]
    return ids
