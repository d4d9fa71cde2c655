"""What ``selfgen bench`` measures, as its options say: model and place, rows, calls."""

from __future__ import annotations

import random
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from selfgen.bench import harness, training
from selfgen.cli import where
from selfgen.cli.run import call
from selfgen.config.tasks import CORRECTION
from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows
from selfgen.core.spec import Device
from selfgen.data.prompts import (
    PromptSpec,
    answer_ids,
    correction_ids,
    load_tokenizer,
    prompt_ids,
)
from selfgen.data.records import checked_records, history_of, read
from selfgen.generation.decoding import Prompt
from selfgen.models import loading


def asked(args: Namespace, vocabulary: int) -> Iterator[Prompt]:
    """What is asked, and what the answers may resemble."""
    if args.siblings and not args.records:
        raise UserError("--siblings: needs the --records that they answer")
    if args.correct and not args.siblings:
        raise UserError("--correct: needs --siblings, the answers to correct")
    if not args.records:
        rows = training.random_rows(1, args.rows, args.max_prompt_tokens, vocabulary)
        yield from (Prompt(row["id"], 0, row["input_ids"]) for row in rows)
        return
    tokenizer = load_tokenizer(args.weights)
    given = read_rows(args.siblings) if args.siblings else []
    texts = {row["id"]: row["text"] for row in checked_records(given, ("id", "text"))}
    spec = prompt_spec(args)
    for record in [r for r in read(args.records) if r["split"] != "train"][: args.rows]:
        name, prompt, history = record["id"], record["prompt"], history_of(record)
        if args.siblings and name not in texts:
            raise UserError(f"{args.siblings}: no answer to {name}")
        if args.correct:
            ids = correction_ids(tokenizer, spec, prompt, texts[name], history)
        else:
            ids = prompt_ids(tokenizer, spec, prompt, history)
        near = answer_ids(tokenizer, spec, texts[name]) if texts else []
        yield Prompt(name, 0, ids, sibling=near)


def prompt_spec(args: Namespace) -> PromptSpec:
    limits = (args.max_prompt_tokens, args.max_new_tokens)
    return PromptSpec("{prompt}", CORRECTION, *limits)


def training_rows(
    args: Namespace,
    model: Any,
    random_rows: Callable[[int, int, int, int], list[dict[str, Any]]],
) -> list[dict[str, Any]]:
    """The first steps of those that are given, or random ones."""
    if given := getattr(args, "rows", None):
        rows = read_rows(given)
        if any("step" not in row for row in rows[:1]):
            raise UserError(
                f"{given}: found no column step, allowed: rows of a training"
                " (results/rows/…)"
            )
        rows = [row for row in rows if row["step"] < args.steps]
    else:
        vocabulary = model.config.vocab_size
        rows = random_rows(args.steps, args.batch, args.length, vocabulary)
    if (steps := len({row["step"] for row in rows})) < 2:
        raise UserError(
            f"bench {args.kind}: found {steps} steps with rows, allowed: two or more, since"
            " the first warms up"
        )
    return rows


def place(args: Namespace) -> tuple[Any, Device, dict[str, Any]]:
    """The model on the CPU, where it is to run, and what the page says of both."""
    model = loading.load(args.weights)
    device = Device(*loading.place(Device(args.device, args.precision), model))
    shape = f"{model.config.model_type} {model.num_parameters() / 1e6:.0f}M"
    return model, device, harness.machine(device) | {"model": shape}


def running_text(args: Namespace, model: Any) -> Sequence[int]:
    """Token ids of the training records one after the other, or random ones."""
    needed = args.prompt_tokens + max(args.answer_tokens, args.long) + 1
    if args.records is None:
        stream, count = random.Random(0), max(200_000, needed)
        return [stream.randrange(model.config.vocab_size) for _ in range(count)]
    tokenizer = load_tokenizer(args.weights)
    records = read(args.records, ["train"])
    text = "".join(f"{r['prompt']}\n{r['reference']}\n" for r in records)
    tokens: list[int] = tokenizer(text)["input_ids"]
    if len(tokens) < needed:
        raise UserError(
            f"{args.records}: found {len(tokens)} tokens of training records, allowed:"
            f" {needed} or more, or shorter rows (--help)"
        )
    return tokens


def plans(args: Namespace) -> dict[str, list[str]]:
    """The call of Snakemake for each configuration, by the names of its files."""
    calls = {}
    for config, *more in args.config:
        given = Namespace(config=config, more=more, directory=args.directory)
        asked = where.found(given)
        calls[" + ".join(path.stem for path in asked.paths)] = call(asked, "all")
    return calls
