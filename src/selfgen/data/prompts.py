"""Every text that is put around a record, and the one place where text becomes token ids.

Generation, training and evaluation all come through here, so a prompt that a model is
trained on cannot differ from the one it is asked with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError


@dataclass(frozen=True)
class PromptSpec:
    """The text around a record: the user message, and the turn that asks for a correction.

    ``answer_prefix`` joins an answer to what stands before it. A prompt that is too long
    loses words from its end, or, with ``cut_after``, lines of what follows that text in it.
    """

    template: str
    correction: str
    max_prompt_tokens: int
    max_answer_tokens: int
    answer_prefix: str = ""
    cut_after: str = ""


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer beside a model's weights; raises UserError if it has no EOS."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if tokenizer.eos_token_id is None or not tokenizer.chat_template:
        raise UserError(
            f"{folder}: the tokenizer needs an EOS token and a chat template"
        )
    return tokenizer


def prompt_ids(tokenizer: Any, spec: PromptSpec, prompt: str) -> list[int]:
    """Token ids of the user message and the opening of the answer.

    A prompt longer than ``spec.max_prompt_tokens`` loses words from its end until it fits:
    the text of the template around it always stays whole. With ``spec.cut_after`` it loses
    lines instead, and where none is left characters, as posts do in tldr_dataset.py of
    vwxyzjn/summarize_from_feedback_details.
    """
    ids = _render(tokenizer, [_user(spec, prompt)])
    if len(ids) <= spec.max_prompt_tokens:
        return ids
    if spec.cut_after:
        return _without_lines(tokenizer, spec, prompt)
    words = prompt.split(" ")
    fits, too_many = 0, len(words)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        ids = _render(tokenizer, [_user(spec, " ".join(words[:middle]))])
        if len(ids) <= spec.max_prompt_tokens:
            fits = middle
        else:
            too_many = middle
    ids = _render(tokenizer, [_user(spec, " ".join(words[:fits]))])
    if len(ids) > spec.max_prompt_tokens:
        raise _no_room(spec, ids)
    return ids


def _without_lines(tokenizer: Any, spec: PromptSpec, prompt: str) -> list[int]:
    start, mark, post = prompt.partition(spec.cut_after)
    while True:
        ids = _render(tokenizer, [_user(spec, start + mark + post)])
        if len(ids) <= spec.max_prompt_tokens:
            return ids
        if not post:
            raise _no_room(spec, ids)
        line = post.rfind("\n")
        post = post[:line] if line >= 0 else post[:-1]


def _no_room(spec: PromptSpec, ids: list[int]) -> UserError:
    return UserError(
        f"max_prompt_tokens: the template alone takes {len(ids)} tokens,"
        f" allowed are {spec.max_prompt_tokens}"
    )


def correction_ids(
    tokenizer: Any, spec: PromptSpec, prompt: str, draft: str
) -> list[int]:
    """Token ids of prompt, draft, correction turn and the opening of the second answer.

    Only the prompt is shortened to ``spec.max_prompt_tokens``; draft and turn are added.
    """
    first = prompt_ids(tokenizer, spec, prompt)
    user = _user(spec, prompt)
    start = _render(tokenizer, [user], opened=False)
    whole = _render(
        tokenizer,
        [
            user,
            {"role": "assistant", "content": spec.answer_prefix + draft},
            {"role": "user", "content": spec.correction},
        ],
    )
    opened = _render(tokenizer, [user])
    if whole[: len(start)] != start:
        raise UserError(
            "chat template: it changes earlier turns when another follows; a correction"
            " needs one that does not"
        )
    if first == opened:
        return whole
    return first + whole[len(opened) :]


def answer_ids(tokenizer: Any, spec: PromptSpec, answer: str) -> list[int]:
    """Token ids of an answer, closed by EOS.

    An answer of more than ``spec.max_answer_tokens`` is cut and not closed: a model must
    not learn to stop in the middle of a sentence.
    """
    text = spec.answer_prefix + answer
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id][: spec.max_answer_tokens]


def dialogue_ids(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """Token ids of a whole dialogue, as the chat template renders it: with a system message
    that is not there only where the template puts one, as ``chat_templates.ZEPHYR`` does."""
    return _render(tokenizer, messages, opened=False)


def answer_text(tokenizer: Any, ids: list[int]) -> str:
    """The text of generated ids, without special tokens and surrounding white space."""
    return tokenizer.decode(ids, skip_special_tokens=True).strip()


def _user(spec: PromptSpec, prompt: str) -> dict[str, str]:
    return {"role": "user", "content": spec.template.replace("{prompt}", prompt)}


def _render(
    tokenizer: Any, messages: list[dict[str, str]], opened: bool = True
) -> list[int]:
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=opened
    )
    return tokenizer(text, add_special_tokens=False)["input_ids"]
