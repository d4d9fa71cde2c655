"""Exposure bias of a model on prompts with references, in one call (docs/measure.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from selfgen import __version__, tasks
from selfgen.config.tasks import CORRECTION
from selfgen.core.errors import UserError
from selfgen.core.spec import Device, at_least, to_json
from selfgen.data.chat_templates import CHATS
from selfgen.data.columns import Columns
from selfgen.data.dataset import RecordsSpec
from selfgen.data.examples import Example, examples_of
from selfgen.data.prompts import PromptSpec, any_tokenizer
from selfgen.evaluation.exposure import shared_tokens
from selfgen.generation import ends
from selfgen.library import parts
from selfgen.library.models import opened
from selfgen.library.records import Data, records
from selfgen.measures import checks, degeneration, distribution
from selfgen.measures.reading import Instrument, chosen, read_prompts
from selfgen.measures.spec import LENGTHS, MeasureSpec, steps_in_words
from selfgen.models import probe
from selfgen.models.loading import load_for_generation
from selfgen.report.measured.found import Found
from selfgen.tasks.build import build

Progress = Callable[[int, int], None]

CHUNK = 32
"""Prompts of a part: what a killed call loses at most. Smaller ones cost time."""


class Unfinished(UserError):
    """Other shards have parts to make."""


def measure(
    model: Any,
    tokenizer: Any = None,
    data: Data | None = None,
    *,
    name: str = "",
    task: str = "",
    oracle: Any = None,
    oracle_tokenizer: Any = None,
    features: str | Path | None = None,
    training_rows: Iterable[Mapping[str, Any]] = (),
    prompts: int = 64,
    seed: int = 0,
    planted: int = 4,
    length: int | None = None,
    columns: Columns | None = None,
    skip_bad_rows: bool = False,
    template: str = "",
    chat: str = "",
    max_prompt_tokens: int = 512,
    max_answer_tokens: int = 128,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int = 64,
    confidence: float = 0.95,
    out: str | Path | None = None,
    shard: tuple[int, int] = (0, 1),
    progress: Progress | None = None,
) -> Found:
    """Measures exposure bias: what a model says after its own tokens, beside what it says
    after those of references. ``print`` shows what was found in sentences, ``table()`` the
    numbers with intervals, ``save(folder)`` writes a page; ``against(other)`` adds the
    differences to another model that was measured on the same data.

    Args:
        model, tokenizer: see ``bash_rows``.
        data: prompts with references, see ``bash_rows``; of these the ``prompts`` with the
            lowest hash of their id, one of those that ask the same. None: of ``task``, where
            that is made by rule.
        name: of the model, where its numbers stand.
        task: a data set whose checker judges steps, such as ``group-words``.
        oracle: a model of the same vocabulary that stands for the data: a larger one, or one
            that was trained on more of it.
        oracle_tokenizer: of an oracle that is no folder.
        features: the folder of a model whose hidden states stand for texts, such as
            ``gpt2-large``; adds MAUVE, of 1,000 prompts or more.
        training_rows: rows with ``input_ids`` and ``labels`` that the model was trained on,
            which are looked through for wrong labels.
        seed: of all draws; models that are compared have the same.
        planted: tokens of a reference that are replaced at once.
        length: steps up to which errors against the oracle are summed; by default as many,
            up to 32, as a quarter of the answers and of the references have.
        chat: the chat template of a folder whose tokenizer has none: chatml, zephyr or plain
            (no turns). A base model asked in one that it was not trained with is measured
            with that, too.
        template: the user message around ``{prompt}``; the task's own by default.
        confidence: of intervals.
        out: a folder that keeps finished parts, so that a call that was killed goes on.
        shard: ``(i, n)`` makes every n-th part only, from the i-th on; a call without it
            puts them together.

    All other arguments are those of ``bash_rows``.

    Raises UserError: data, numbers or models that are none, an oracle of another vocabulary,
    too few prompts for MAUVE.
    """
    at_least("prompts", prompts, 2)
    lengths = LENGTHS if length is None else (_length(length, max_answer_tokens),)
    if not 0 <= shard[0] < shard[1]:
        raise UserError(f"shard: found {shard}, allowed: (i, n) with i from 0 to n - 1")
    if chat and chat not in CHATS:
        raise UserError(f"chat: found {chat!r}, allowed: {', '.join(CHATS)}")
    if not 0 < confidence < 1:
        raise UserError(f"confidence: found {confidence}, allowed: between 0 and 1")
    dataset = tasks.DATASETS[_known(task)] if task else None
    checker = tasks.checker(task) if task else None
    template = template or (dataset.template if dataset else "{prompt}")
    spec = MeasureSpec(
        PromptSpec(
            template,
            CORRECTION,
            max_prompt_tokens,
            max_answer_tokens,
            dataset.answer_prefix if dataset else "",
        ),
        seed,
        planted,
        task,
        max(lengths),
    )
    found = _records(data, task, prompts, columns, skip_bad_rows)
    if len(found) < 2:
        raise UserError("data: found one prompt, allowed: two or more, which differ")
    if features is not None:
        distribution.asked(len(found))
    chunks = [found[i : i + CHUNK] for i in range(0, len(found), CHUNK)]
    known: list[Any] = [to_json(spec), parts.identity(model)]
    known.append("" if oracle is None else parts.identity(oracle))
    where = Device(device, precision)
    number, of = shard
    with ExitStack() as stack:
        lm, words = stack.enter_context(opened(model, tokenizer, where, chat))
        examples = examples_of(found, spec.prompt, words)
        if checker:
            whole(lm, words, examples)
        # With the tokenizer's work and the stops, which no weights tell.
        known.append(sorted(ends.stops(lm, words)))
        computed = _computed(lm)
        known.append(computed)
        known.append([[e.prompt_ids, e.answer_ids] for e in examples])
        store = parts.Parts(out, [__version__, *known, found], len(chunks))
        missing = [n for n in store.missing if n % of == number]
        other, tokens = None, list[int]()
        if oracle is not None:
            other, tokens = _oracle(oracle, oracle_tokenizer, words, where)
            if other is oracle:  # the caller's own gets its mode back
                stack.callback(oracle.train, oracle.training)
                oracle.eval()
        tools = (examples, other, tokens, checker, batch_size)
        own = Instrument(lm, words, spec, *tools)
        for done, part in enumerate(missing, start=1):
            some = examples[part * CHUNK : (part + 1) * CHUNK]
            store.keep(part, read_prompts(own, some, chunks[part]))
            if progress:
                progress(min(done * CHUNK, len(found)), len(found))
        if store.missing:
            raise Unfinished(
                f"out: found {len(store.missing)} of {store.count} parts that other shards"
                " have not made yet; call again without shard when they are done"
            )
        read = degeneration.beside_others(store.rows())
        if features is not None:
            read = distribution.with_clusters(read, features, where, batch_size)
        rows = {row["id"]: row for row in read}
        looked_at = checks.check(lm, words, examples, rows, training_rows, tokens)
    name = name or _name(model)
    which = "those of the lowest hash of id" if data is not None else "the first"
    about = {
        "model": _name(model),
        "oracle": "none" if oracle is None else _name(oracle),
        "data": task if data is None else _data(data),
        "task": task or "none that is checked",
        "prompts": f"{len(found)}, {which}, as {template!r}, of {max_prompt_tokens} tokens"
        " at most",
        "planted": f"{planted} tokens",
        "length": steps_in_words(lengths),
        "computed": computed,
        "answers": f"greedy, and drawn at temperature 1 under seed {seed}, of"
        f" {max_answer_tokens} tokens at most",
        "selfgen": __version__,
    }
    return Found({name: {seed: rows}}, {name: looked_at}, about, confidence, lengths)


def _oracle(
    oracle: Any, tokenizer: Any, words: Any, where: Device
) -> tuple[Any, list[int]]:
    """Its model and the ids that it shares with ``words``; it answers nothing, so its
    tokenizer needs no chat template."""
    if not isinstance(oracle, str | Path):
        probe.is_model(oracle)
        if tokenizer is None:
            raise UserError(
                "oracle_tokenizer: found none, allowed: that of the oracle, which is no"
                " folder"
            )
        return oracle, shared_tokens(words, tokenizer)
    tokens = shared_tokens(words, tokenizer or any_tokenizer(oracle))
    return load_for_generation(oracle, where)[0], tokens


def whole(model: Any, tokenizer: Any, examples: Sequence[Example]) -> None:
    """Raises UserError where the reference of a checked task is cut off, before anything is
    generated."""
    stops = ends.stops(model, tokenizer)
    for example in examples:
        if example.answer_ids[-1] not in stops:
            raise UserError(
                f"max_answer_tokens: found {len(example.answer_ids)}, allowed: more, for the"
                f" reference of {example.id} does not fit, whose steps are to be judged"
            )


def _length(length: int, most: int) -> int:
    if not 0 < length <= most:
        raise UserError(
            f"length: found {length}, allowed: 1 to {most}, the tokens of an answer"
            " (max_answer_tokens)"
        )
    return length


def _known(task: str) -> str:
    having = [name for name, data in tasks.DATASETS.items() if data.checker]
    if task not in having:
        raise UserError(
            f"task: found {task!r}, allowed: those with a checker, {', '.join(having)}"
        )
    return task


def _records(
    data: Data | None,
    task: str,
    prompts: int,
    columns: Columns | None,
    skip_bad_rows: bool,
) -> list[dict[str, Any]]:
    if data is not None:
        found = records(data, columns, skip_bad_rows=skip_bad_rows)
        return chosen(found, prompts)
    if not task:
        raise UserError(
            "data: found none, allowed: rows, or a task that is made by rule"
        )
    if tasks.DATASETS[task].sources:
        raise UserError(
            f"data: found none, but {task} is not made by rule: name a file"
        )
    built, _ = build(RecordsSpec(task, task, {"test": prompts}), {})
    return [dict(row) for row in built]


def _name(model: Any) -> str:
    """Of a folder its name; runs call all folders of weights alike, and name those around."""
    if isinstance(model, str | Path):
        parts = [x for x in Path(model).resolve().parts if x != "weights"]
        own = Path(model).resolve().name == "weights"
        return "-".join(parts[-2:] if own else parts[-1:])
    return type(model).__name__


def _computed(model: Any) -> str:
    """Where and how exactly a model computes."""
    weight = next(model.parameters())
    return f"{weight.device.type}, {str(weight.dtype).removeprefix('torch.')}"


def _data(data: Data) -> str:
    return Path(data).name if isinstance(data, str | Path) else "rows of the caller"
