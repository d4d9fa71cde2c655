"""Every text that is put around a record, and the one place where text becomes token ids.

Generation, training and evaluation all come through here, so a prompt that a model is
trained on cannot differ from the one it is asked with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError, naming
from selfgen.core.json_files import refuse_adapter, refuse_damaged
from selfgen.core.spec import Checked, existing_folder
from selfgen.core.types import Count
from selfgen.data.turns import (
    Messages,
    checked,
    dialogue_ids,
    keeps_turns,
    sound,
    text_ids,
    turns,
)


@dataclass(frozen=True)
class PromptSpec(Checked):
    """The text around a record: the user message, and the turn that asks for a correction.

    ``answer_prefix`` joins an answer to what stands before it. A prompt that is too long
    loses words from its end, or, with ``cut_after``, lines of what follows that text in it.
    Control tokens that stand in a record are text, unless ``control_tokens``.
    """

    template: str
    correction: str
    max_prompt_tokens: Count
    max_answer_tokens: Count
    answer_prefix: str = ""
    cut_after: str = ""
    control_tokens: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if "{prompt}" not in self.template:
            raise UserError("PromptSpec.template: found no {prompt}, it must hold one")


def load_tokenizer(folder: Path | str) -> Any:
    """The tokenizer beside the weights of a model that answers.

    Raises UserError: there is none that can be read, it has no chat template, or nothing that
    closes a turn.
    """
    tokenizer = any_tokenizer(folder)
    with naming(existing_folder("model", folder)):
        checked(tokenizer)
    return tokenizer


def any_tokenizer(folder: Path | str) -> Any:
    """The tokenizer beside a model's weights, with a chat template or without.

    Raises UserError: there is none that can be read.
    """
    from transformers import AutoTokenizer

    folder = existing_folder("model", folder)
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # what tokenizers raises is no narrower
        refuse_adapter(folder)
        refuse_damaged(folder)
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: its tokenizer cannot be read: {said}") from error


def prompt_ids(
    tokenizer: Any, spec: PromptSpec, prompt: str, history: Messages = ()
) -> list[int]:
    """Token ids of the user message and the opening of the answer; ``history``: the turns
    before it, of which the earliest go first where all is longer than
    ``spec.max_prompt_tokens``, but for those of the system.

    A prompt longer than ``spec.max_prompt_tokens`` loses words from its end until it fits:
    the text of the template around it always stays whole. With ``spec.cut_after`` it loses
    lines instead, and where none is left characters, as posts do in tldr_dataset.py of
    vwxyzjn/summarize_from_feedback_details.
    """
    return _fitting(tokenizer, spec, prompt, history)[1]


def _fitting(
    tokenizer: Any, spec: PromptSpec, prompt: str, history: Messages
) -> tuple[list[Mapping[str, str]], list[int]]:
    """What is left of a prompt and the turns before it, and its ids."""
    kept = list(history)

    def ids_of(text: str) -> list[int]:
        return _ids(tokenizer, spec, [*kept, _user(spec, text)])

    ids = ids_of(prompt)
    while len(ids) > spec.max_prompt_tokens and _shorten(kept):
        ids = ids_of(prompt)
    if len(ids) > spec.max_prompt_tokens:
        prompt, ids = _cut(spec, prompt, ids_of)
    return [*kept, _user(spec, prompt)], ids


def _shorten(history: list[Mapping[str, str]]) -> bool:
    """Takes the earliest turn of a user away, with what answers it; False where none is."""
    asked = [i for i, turn in enumerate(history) if turn["role"] == "user"]
    if asked:
        del history[asked[0] : (asked[1] if len(asked) > 1 else len(history))]
    return bool(asked)


def _cut(
    spec: PromptSpec, prompt: str, ids_of: Callable[[str], list[int]]
) -> tuple[str, list[int]]:
    if spec.cut_after:
        return _without_lines(spec, prompt, ids_of)
    words = prompt.split(" ")
    fits, too_many = 0, len(words)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if len(ids_of(" ".join(words[:middle]))) <= spec.max_prompt_tokens:
            fits = middle
        else:
            too_many = middle
    left = " ".join(words[:fits])
    ids = ids_of(left)
    if len(ids) > spec.max_prompt_tokens:
        raise _no_room(spec, ids)
    return left, ids


def _without_lines(
    spec: PromptSpec, prompt: str, ids_of: Callable[[str], list[int]]
) -> tuple[str, list[int]]:
    start, mark, post = prompt.partition(spec.cut_after)
    while True:
        left = start + mark + post
        ids = ids_of(left)
        if len(ids) <= spec.max_prompt_tokens:
            return left, ids
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
    tokenizer: Any,
    spec: PromptSpec,
    prompt: str,
    draft: str,
    history: Messages = (),
) -> list[int]:
    """Token ids of prompt, draft, correction turn and the opening of the second answer.

    Only the prompt is shortened to ``spec.max_prompt_tokens``; draft and turn are added.

    Raises UserError: as ``turns.keeps_turns``.
    """
    keeps_turns(tokenizer)
    sound([draft])
    left, _ = _fitting(tokenizer, spec, prompt, history)
    messages = [
        *left,
        {"role": "assistant", "content": spec.answer_prefix + draft},
        {"role": "user", "content": spec.correction},
    ]
    return _ids(tokenizer, spec, messages)


def answer_ids(tokenizer: Any, spec: PromptSpec, answer: str) -> list[int]:
    """Token ids of an answer, closed as the chat template closes a turn, once.

    An answer of more than ``spec.max_answer_tokens`` is cut and not closed: a model must
    not learn to stop in the middle of a sentence.
    """
    sound([answer])
    own = turns(tokenizer)
    text = own.lead + spec.answer_prefix + answer + own.before
    ids = text_ids(tokenizer, text, behind=own.opening, control=spec.control_tokens)
    return [*ids, own.end][: spec.max_answer_tokens]


def answer_text(tokenizer: Any, ids: list[int]) -> str:
    """The text of generated ids, without control tokens and surrounding white space."""
    special = turns(tokenizer).special
    text: str = tokenizer.decode(
        [number for number in ids if number not in special], skip_special_tokens=True
    )
    return text.strip()


def _user(spec: PromptSpec, prompt: str) -> dict[str, str]:
    sound([prompt])
    return {"role": "user", "content": spec.template.replace("{prompt}", prompt)}


def _ids(tokenizer: Any, spec: PromptSpec, messages: Messages) -> list[int]:
    return dialogue_ids(tokenizer, messages, opened=True, control=spec.control_tokens)
