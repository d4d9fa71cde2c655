"""Training rows of BASH, of its control and of RAC, from data and a model, in one call.

The rows are those of the workflow for the same records, seed and model, in the order of the
data, one epoch after the other: trainers shuffle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.config.tasks import CORRECTION
from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling, to_json
from selfgen.data.columns import Columns
from selfgen.data.examples import Example, examples_of
from selfgen.data.prompts import PromptSpec
from selfgen.generation.passes import pass_over
from selfgen.generation.spec import PassSpec
from selfgen.library import parts
from selfgen.library.models import opened
from selfgen.library.records import Data, records
from selfgen.methods.bash import BashRows
from selfgen.methods.rac import RacRows
from selfgen.methods.random import RandomRows
from selfgen.mixing.mix import Mix, Mixing
from selfgen.mixing.rows import IGNORE, Fields, Labels, LossOn, plain
from selfgen.mixing.spec import RowsSpec

if TYPE_CHECKING:
    import datasets

Progress = Callable[[int, int], None]

CHUNK = 512
"""Records that are in memory with their tokens, and in a part of the folder ``out``."""


def sft_rows(
    data: Data,
    tokenizer: Any,
    *,
    columns: Columns | None = None,
    skip_bad_rows: bool = False,
    template: str = "{prompt}",
    max_prompt_tokens: int = 512,
    max_answer_tokens: int = 512,
) -> datasets.Dataset:
    """The references alone, as ``bash_rows`` returns rows: plain fine-tuning, the baseline of
    all others."""
    prompt = PromptSpec(template, CORRECTION, max_prompt_tokens, max_answer_tokens)
    found = records(data, columns, skip_bad_rows=skip_bad_rows)
    chunks = range(0, len(found), CHUNK)
    store = parts.Parts(None, [], len(chunks))
    for number, first in enumerate(chunks):
        some = examples_of(found[first : first + CHUNK], prompt, tokenizer)
        rows = [plain(e.prompt_ids, e.answer_ids) for e in some]
        named = zip(some, rows, strict=True)
        store.keep(number, [{"id": e.id, "epoch": 0, **row} for e, row in named])
    return store.dataset()


def bash_rows(
    data: Data,
    model: Any,
    tokenizer: Any = None,
    *,
    beta: float = 0.25,
    seed: int = 0,
    epochs: int = 1,
    draw: str = "autoregressive",
    span: int = 1,
    sampling: Sampling | None = None,
    loss_on: LossOn = "all",
    labels: Labels = "reference",
    columns: Columns | None = None,
    skip_bad_rows: bool = False,
    template: str = "{prompt}",
    max_prompt_tokens: int = 512,
    max_answer_tokens: int = 512,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int = 256,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> datasets.Dataset:
    """Batch-Scheduled Sampling (Algorithm 1 of arXiv 2410.14655, our reading): the context is
    the reference, of which a share ``beta`` is the model's own; the labels are the reference.

    Returns a dataset of ``id``, ``epoch``, ``input_ids``, ``labels`` (-100: not asked),
    ``attention_mask`` and ``changed`` (where ``input_ids`` is not the reference's).

    Args:
        data: see ``selfgen.library.records``; ``columns`` names other ones.
        model: a causal LM of transformers, with adapters or not, or the folder of one; then
            ``tokenizer`` is found there, and ``device`` and ``precision`` say how it runs.
        draw: ``autoregressive`` draws after the mixed prefix, ``onepass`` after the
            reference's.
        span: own tokens come in runs of this length.
        sampling: of own tokens; at temperature 1 without it.
        loss_on, labels: as ``mixing.rows``.
        template: the user message around ``{prompt}``.
        max_prompt_tokens, max_answer_tokens: longer prompts lose words from their end,
            longer answers are cut and not closed.
        out: a folder that keeps finished parts, so that a call that was killed goes on, and
            rows are read from there and not held in memory.
        progress: called with (records done, records in all).

    Raises UserError: data, numbers or a model that are none.
    """
    kind = {"autoregressive": "forced", "onepass": "onepass"}.get(draw)
    if kind is None:
        raise UserError(f"draw: found {draw!r}, allowed: autoregressive, onepass")
    method = BashRows(mix="bash", loss_on=loss_on, labels=labels)
    return _rows(
        records(data, columns, skip_bad_rows=skip_bad_rows),
        model,
        tokenizer,
        method,
        PassSpec(
            kind=kind,
            beta=beta,
            span=span,
            sampling=sampling or Sampling(temperature=1.0),
            seed=seed,
            rows=(0, 1),
            epochs=epochs,
            prompt=PromptSpec(
                template, CORRECTION, max_prompt_tokens, max_answer_tokens
            ),
            device=Device(device, precision),
        ),
        batch_size,
        out,
        progress,
    )


def rac_rows(
    data: Data,
    model: Any,
    tokenizer: Any = None,
    *,
    correction_share: float = 0.5,
    correction_rows: str = "replace",
    seed: int = 0,
    epochs: int = 1,
    sampling: Sampling | None = None,
    correction: str = CORRECTION,
    columns: Columns | None = None,
    skip_bad_rows: bool = False,
    template: str = "{prompt}",
    max_prompt_tokens: int = 512,
    max_answer_tokens: int = 512,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int = 256,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> datasets.Dataset:
    """Reference-Answer-based Correction (Algorithm 2 of arXiv 2410.14655, our reading): a
    share of the rows shows the model's own draft and a turn that asks for a correction, and
    is labelled on the reference; the others are plain.

    Args:
        correction_share: share of the records that have a correction row.
        correction_rows: ``replace`` the plain row, or ``add`` to it.
        correction: the turn that asks for a correction.

    All other arguments are those of ``bash_rows``. Returns as it does, without ``changed``.
    """
    method = RacRows.model_validate(
        {
            "mix": "rac",
            "correction_share": correction_share,
            "correction_rows": correction_rows,
        }
    )
    return _rows(
        records(data, columns, skip_bad_rows=skip_bad_rows),
        model,
        tokenizer,
        method,
        PassSpec(
            kind="free",
            sampling=sampling or Sampling(temperature=1.0),
            seed=seed,
            rows=(0, 1),
            epochs=epochs,
            prompt=PromptSpec(
                template, correction, max_prompt_tokens, max_answer_tokens
            ),
            device=Device(device, precision),
        ),
        batch_size,
        out,
        progress,
    )


def random_rows(
    rows: datasets.Dataset, *, seed: int = 0, tokens: str = "unigram", tokenizer: Any
) -> datasets.Dataset:
    """The control for rows of ``bash_rows``: other wrong tokens at exactly the positions at
    which their context differs from the reference.

    Args:
        seed: the one that the rows were made with.
        tokens: ``unigram`` draws from the answers' tokens, ``mask`` puts one token there.
        tokenizer: the one that the rows were made with.

    Raises UserError: rows that leave labels out, of which the reference is not known.
    """
    method = RandomRows.model_validate({"mix": "random", "tokens": tokens})
    examples: dict[str, Example] = {}
    for row in rows:
        examples.setdefault(row["id"], _example(row))
    place = {name: number for number, name in enumerate(examples)}
    passed: dict[tuple[str, int], Any] = {}
    spec = _spec(method, seed, PromptSpec("{prompt}", "", 1, 1))
    mixing = Mixing(spec, tokenizer, list(examples.values()), passed, {})
    chunks = range(0, len(rows), CHUNK)
    store = parts.Parts(None, [], len(chunks))
    for number, first in enumerate(chunks):
        passed.clear()
        some = [rows[n] for n in range(first, min(first + CHUNK, len(rows)))]
        for row in some:
            answer = len(examples[row["id"]].answer_ids)
            passed[row["id"], row["epoch"]] = {"tokens": row["input_ids"][-answer:]}
        addresses = [(place[row["id"]], row["epoch"]) for row in some]
        store.keep(number, _made(method, mixing, addresses))
    return store.dataset()


def _example(row: dict[str, Any]) -> Example:
    labels = row["labels"]
    start = next((t for t, label in enumerate(labels) if label != IGNORE), len(labels))
    answer = labels[start:]
    if IGNORE in answer or not answer:
        raise UserError(
            f"rows: found {row['id']} without all labels of its answer; allowed: rows of"
            " bash_rows with loss_on 'all' and labels 'reference'"
        )
    return Example(row["id"], "", row["input_ids"][:start], answer)


def _rows(
    found: Sequence[dict[str, Any]],
    model: Any,
    tokenizer: Any,
    method: Mix,
    spec: PassSpec,
    batch_size: int,
    out: str | Path | None,
    progress: Progress | None,
) -> datasets.Dataset:
    """Rows of records, part by part."""
    chunks = [found[i : i + CHUNK] for i in range(0, len(found), CHUNK)]
    what = [to_json(spec), method.model_dump_json(), parts.identity(model), found]
    store = parts.Parts(out, what, len(chunks))
    if store.missing:
        with opened(model, tokenizer, spec.device) as (lm, words):
            for number in store.missing:
                made = _part(chunks[number], lm, words, method, spec, batch_size)
                store.keep(number, made)
                if progress:
                    progress(min((number + 1) * CHUNK, len(found)), len(found))
    return store.dataset()


def _part(
    chunk: Sequence[dict[str, Any]],
    model: Any,
    tokenizer: Any,
    method: Mix,
    spec: PassSpec,
    batch_size: int,
) -> list[dict[str, Any]]:
    examples = examples_of(chunk, spec.prompt, tokenizer)
    facts: dict[str, Any] = {}
    passed = pass_over(model, tokenizer, examples, spec, facts, batch_size=batch_size)
    by_address = {(row["id"], row["epoch"]): row for row in passed.rows}
    rows = _spec(method, spec.seed, spec.prompt)
    mixing = Mixing(rows, tokenizer, examples, by_address, {})
    every = range(len(examples))
    return _made(method, mixing, [(i, e) for e in range(spec.epochs) for i in every])


def _made(
    method: Mix, mixing: Mixing, addresses: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """The rows of (example, epoch), but those without a label."""
    return [
        {
            "id": mixing.examples[i].id,
            "epoch": epoch,
            **fields,
            **_changed(method, mixing, i, fields),
        }
        for i, epoch in addresses
        for fields in method.make(mixing, i, epoch)
        if any(label != IGNORE for label in fields["labels"][1:])
    ]


def _changed(method: Mix, mixing: Mixing, i: int, fields: Fields) -> dict[str, Any]:
    """Where a mixed row is not the reference's."""
    if method.mix == "rac":
        return {}
    example = mixing.examples[i]
    pairs = zip(
        fields["input_ids"], [*example.prompt_ids, *example.answer_ids], strict=True
    )
    return {"changed": [a != b for a, b in pairs]}


def _spec(method: Mix, seed: int, prompt: PromptSpec) -> RowsSpec[Mix]:
    """What methods read of a spec: the seed and the texts. The order is that of the data."""
    return RowsSpec(
        seed=seed, rows=(0, 1), epochs=1, batch_size=1, prompt=prompt, method=method
    )
