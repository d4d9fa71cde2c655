"""Benchmarks beside what a user would do instead: forced, free or train."""

from __future__ import annotations

import random
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfgen import models
from selfgen.bench import forced, harness
from selfgen.cli import common
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.specs import Device, Sampling


def add_arguments(parser: ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, run_kind in (("forced", run_forced),):
        kind = kinds.add_parser(name, description=run_kind.__doc__)
        kind.add_argument("--weights", type=Path, required=True, help="the model")
        kind.add_argument("--out", type=Path, required=True, help="folder to write")
        kind.add_argument(
            "--records", type=Path, help="Parquet; default: random tokens"
        )
        kind.add_argument("--repeats", type=int, default=5, help="runs of each")
        kind.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
        kind.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
        common.add_threads(kind)
        kind.set_defaults(run_kind=run_kind)
        if name == "forced":
            kind.add_argument("--beta", type=float, nargs="+", default=[0.1, 0.25, 0.5])
            kind.add_argument("--batch", type=int, nargs="+", default=[1, 16, 64])
            kind.add_argument("--prompt-tokens", type=int, default=32)
            kind.add_argument("--answer-tokens", type=int, default=64)
            kind.add_argument("--long", type=int, default=256, help="one row; 0: none")
            kind.add_argument("--temperature", type=float, default=1.0)
            kind.add_argument(
                "--engines",
                nargs="+",
                default=["sequential", "windowed", "auto", "onepass"],
            )


def run(args: Namespace) -> None:
    common.use_threads(args)
    args.run_kind(args)


def run_forced(args: Namespace) -> None:
    """Engines of the forced pass beside generate with a forcing processor."""
    model, _, precision = models.load_for_generation(
        args.weights, Device(args.device, args.precision)
    )
    tokens = _running_text(args, model)
    grid = forced.cases(
        args.beta, args.batch, args.prompt_tokens, args.answer_tokens, args.long
    )
    sampling = Sampling(args.temperature)
    forced.run(model, grid[0], tokens, sampling, 1, args.engines)  # warms everything up
    timings: list[harness.Timing] = []
    where = harness.machine(model.device, precision) | {"model": _shape(model)}
    for case in grid:
        timings += forced.run(model, case, tokens, sampling, args.repeats, args.engines)
        title = "The scheduled-sampling pass"
        tables = [forced.page(timings)]
        harness.write(args.out, "forced", title, where, tables, timings)


def _running_text(args: Namespace, model: Any) -> Sequence[int]:
    """Token ids of the training records one after the other, or random ones."""
    if args.records is None:
        stream = random.Random(0)
        return [stream.randrange(model.config.vocab_size) for _ in range(200_000)]
    tokenizer = load_tokenizer(args.weights)
    texts = [
        f"{r['prompt']}\n{r['reference']}\n" for r in read(args.records, ["train"])
    ]
    return tokenizer("".join(texts))["input_ids"]


def _shape(model: Any) -> str:
    return f"{model.config.model_type}, {model.num_parameters() / 1e6:.0f}M parameters"
