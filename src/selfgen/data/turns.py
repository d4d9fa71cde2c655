"""What a chat template makes of a dialogue: rendered text, its ids, and where a turn ends.

A turn ends with what the template writes after an assistant's answer, which need not be the
tokenizer's EOS: Gemma closes with ``<end_of_turn>``, Phi-3 with ``<|end|>``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.core.errors import UserError

CURE = (
    "name another: models.NAME.chat of a configuration, such as `chat: chatml`, or chat of"
    " selfgen.measure (--chat)"
)

TODAY = (
    "{% macro strftime_now(format) %}"
    "{{ '2024-07-26' if '-' in format else '26 Jul 2024' }}{% endmacro +%}"
)
"""Stands before templates that write the date of today: the one that Llama 3.1's assumes, so
that a prompt is the same in every step and in every run."""

_ASK, _ANSWER, _AGAIN = "selfgenasks", "selfgenanswers", "selfgenasksagain"
"""Words that templates leave as they are."""

_DIALOGUE = (
    {"role": "user", "content": _ASK},
    {"role": "assistant", "content": _ANSWER},
    {"role": "user", "content": _AGAIN},
)

_PRIVATE = 0xE000
"""First of the characters that may cut control tokens while a template is rendered."""

_ID: dict[int, int] = {}
"""One object of each id: tokens of many rows then take 8 bytes each, not 36."""

Messages = Sequence[Mapping[str, str]]

ROLES = ("system", "user", "assistant")
"""Of a message."""


@dataclass(frozen=True)
class Turns:
    """``opening``: text that stands before an answer, from its last control token on.
    ``lead``: white space that the template writes between that and a past answer. ``end``:
    the token that closes an assistant's turn. ``before``: text that the template writes
    between an answer and that token. ``written``: whether the template writes it; else
    ``end`` is the tokenizer's EOS. ``special``: ids of all control tokens. ``known``: ids
    that have a token. ``eos``: the tokenizer's, or the turn's end where it has none."""

    opening: str
    lead: str
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
    return _turns(tokenizer, *_says(tokenizer))


def checked(tokenizer: Any, *, corrections: bool = False) -> list[int]:
    """The tokens of a turn and of its end; only that of its end where the tokenizer does not
    know our words.

    Raises UserError where nothing says how a turn is written or closed, or, with
    ``corrections``, where the template cannot ask for one.
    """
    _templated(tokenizer)
    if _ASK not in render(tokenizer, _DIALOGUE[:1], opened=True):
        raise UserError(f"chat template: it does not write the text of a turn; {CURE}")
    end = turns(tokenizer).end
    if corrections:
        keeps_turns(tokenizer)
    try:
        return [*dialogue_ids(tokenizer, _DIALOGUE[:1], opened=True), end]
    except UserError:
        return [end]


def keeps_turns(tokenizer: Any) -> None:
    """Raises UserError where a template takes one turn alone, or changes or drops an earlier
    one when another follows."""
    _keeps_turns(tokenizer, *_says(tokenizer))


def _says(tokenizer: Any) -> tuple[str, int, int | None]:
    """What may change of a tokenizer, and what is known of it with that."""
    return str(tokenizer.chat_template), len(tokenizer), tokenizer.eos_token_id


def _templated(tokenizer: Any) -> None:
    if not tokenizer.chat_template:
        raise UserError(f"tokenizer: it has no chat template; {CURE}")


@functools.lru_cache(maxsize=16)
def _keeps_turns(tokenizer: Any, *says: Any) -> None:
    start = render(tokenizer, _DIALOGUE[:1], opened=False)
    whole = render(tokenizer, _DIALOGUE, opened=True)
    answer, again = whole.find(_ANSWER), whole.find(_AGAIN)
    if not whole.startswith(start) or not len(start) <= answer < again:
        raise UserError(
            "chat template: it changes earlier turns when another follows; a correction"
            f" needs one that does not; {CURE}"
        )


@functools.lru_cache(maxsize=16)
def _turns(tokenizer: Any, *says: Any) -> Turns:
    control = _control(tokenizer, *says)
    opened, past, after = _around_answer(tokenizer)
    places = [(after.find(text), -len(text), text) for text in control if text in after]
    place, _, closing = min(places, default=(0, 0, ""))
    end = control[closing] if closing else tokenizer.eos_token_id
    if end is None:
        raise UserError(
            "tokenizer: it has no EOS token, and its chat template closes no turn by a"
            " token; name an eos_token in its tokenizer_config.json, or another template,"
            " whose tokens it has: models.NAME.chat of a configuration, such as `chat:"
            " chatml`, or chat of selfgen.measure (--chat)"
        )
    opens = max((opened.rfind(text) for text in control), default=-1)
    lead = past.removeprefix(opened) if past.startswith(opened) else ""
    return Turns(
        opening=opened[max(opens, 0) :],
        lead="" if lead.strip() else lead,
        end=end,
        before=after[:place],
        written=bool(closing),
        eos=end if tokenizer.eos_token_id is None else tokenizer.eos_token_id,
        special=frozenset(control.values()),
        known=frozenset(tokenizer.get_vocab().values()),
    )


def _around_answer(tokenizer: Any) -> tuple[str, str, str]:
    """What the template writes between a question and the answer that is to come, between
    it and one that is there, and after that. Nothing where it refuses such a dialogue."""
    opened = _rendered(tokenizer, 1, opened=True).rpartition(_ASK)[2]
    answered, dialogue = (_rendered(tokenizer, n) for n in (2, 3))
    if answered and _ANSWER not in answered:
        raise UserError(f"chat template: it does not write the text of a turn; {CURE}")
    start, _, after = answered.rpartition(_ANSWER)
    past = start.rpartition(_ASK)[2]
    if not after.strip() and _AGAIN in dialogue:
        # Some close a turn only where another follows, which opens as the first one does.
        head = dialogue.partition(_ASK)[0]
        after = dialogue.partition(_ANSWER)[2].partition(_AGAIN)[0]
        while after and head[-1:] == after[-1:]:
            head, after = head[:-1], after[:-1]
    return opened, past, after


def _rendered(tokenizer: Any, turns: int, *, opened: bool = False) -> str:
    try:
        return render(tokenizer, _DIALOGUE[:turns], opened=opened)
    except UserError:
        return ""


@functools.lru_cache(maxsize=16)
def _control(tokenizer: Any, *says: Any) -> dict[str, int]:
    """Control tokens by their text: those that have a role, those that were added as special
    ones, and other added ones by which the template divides turns."""
    dialogue = next(filter(None, (_rendered(tokenizer, n) for n in (3, 2, 1))), "")
    added = [(str(x), x, n) for n, x in tokenizer.added_tokens_decoder.items()]
    found = {
        text: number
        for text, token, number in added
        if token.special or (text.strip() and text in dialogue)
    }
    roles = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return found | {text: number for text, number in roles if number is not None}


def render(tokenizer: Any, messages: Messages, *, opened: bool) -> str:
    """The text of a dialogue; ``opened``: with the opening of the answer that follows.

    Raises UserError where the template refuses it.
    """
    from jinja2 import TemplateError

    _templated(tokenizer)
    try:
        template = tokenizer.get_chat_template()
        text: str = tokenizer.apply_chat_template(
            list(messages),
            chat_template=(TODAY if "strftime_now" in template else "") + template,
            tokenize=False,
            add_generation_prompt=opened,
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
    texts = [message["content"] for message in messages]
    sound(texts)
    texts, mark = (texts, "") if control else _cut(tokenizer, texts)
    cut = [
        {**message, "content": text}
        for message, text in zip(messages, texts, strict=True)
    ]
    rendered = render(tokenizer, cut, opened=opened)
    first, *others = rendered.split(mark) if mark else [rendered]
    return _ids(tokenizer, first) + _all_behind(tokenizer, others)


def text_ids(
    tokenizer: Any, text: str, *, behind: str = "", control: bool = False
) -> list[int]:
    """Token ids of a text without template, alone or ``behind`` another; control tokens in it
    stay text, unless ``control``."""
    sound([text])
    (text,), mark = ([text], "") if control else _cut(tokenizer, [text])
    first, *others = text.split(mark) if mark else [text]
    before = (behind, "\n") if behind else ()
    return _behind(tokenizer, first, *before) + _all_behind(tokenizer, others)


def _cut(tokenizer: Any, texts: list[str]) -> tuple[list[str], str]:
    """Texts in which a mark that stands in none cuts every control token after its first
    character; and the mark, if there was something to cut."""
    control = _control(tokenizer, *_says(tokenizer))
    standing = [
        token
        for token in sorted(control, key=len, reverse=True)
        if len(token) > 1 and any(token in text for text in texts)
    ]
    if not standing:
        return texts, ""
    used = {character for text in texts for character in text}
    mark = next(c for n in range(0x1900) if (c := chr(_PRIVATE + n)) not in used)
    for token in standing:
        texts = [text.replace(token, token[0] + mark + token[1:]) for text in texts]
    return texts, mark


def _all_behind(tokenizer: Any, parts: Iterable[str]) -> list[int]:
    return [number for part in parts for number in _behind(tokenizer, part, "\n")]


def _behind(tokenizer: Any, text: str, *before: str) -> list[int]:
    """Ids of a text as they are behind the first of the texts ``before`` that it does not
    merge with; some tokenizers put a space before what stands alone."""
    for other in before:
        start, whole = _ids(tokenizer, other), _ids(tokenizer, other + text)
        if whole[: len(start)] == start:
            return whole[len(start) :]
    return _ids(tokenizer, text)


def sound(texts: Iterable[Any]) -> None:
    """Raises UserError where one is no text that can be written."""
    for text in texts:
        if not isinstance(text, str):
            raise UserError(f"text: found {text!r:.40}; allowed: Unicode text")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"text: found the lone surrogate U+{ord(text[error.start]):04X} in"
                f" {text[:40]!a}; allowed: Unicode text"
            ) from None


def _ids(tokenizer: Any, text: str) -> list[int]:
    try:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    except Exception as error:  # of the package tokenizers, which has none of its own
        said = " ".join(str(error).split())[:100]
        raise UserError(
            f"tokenizer: it cannot read {text[:40]!r}: {said}; allowed: text that it has"
            " tokens for"
        ) from None
    return [_ID.setdefault(number, number) for number in ids]
