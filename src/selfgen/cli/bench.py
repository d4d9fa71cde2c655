"""Benchmarks beside what a user would do instead: forced, free, train, dpo; what the machine
would allow: parts, floor; how time and memory grow: scale; what a step costs before it
computes: start; what Snakemake takes before the first job: plan."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfgen.bench import (
    floor,
    forced,
    free,
    harness,
    parts,
    plan,
    scale,
    start,
    training,
)
from selfgen.cli import bench_inputs
from selfgen.config.tasks import CORRECTION
from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling, at_least
from selfgen.data.prompts import PromptSpec
from selfgen.data.records import read
from selfgen.models import loading, shapes
from selfgen.report import took
from selfgen.runtime.devices import claim
from selfgen.training.spec import Preference

ENGINES = ["sequential", "speculative", "auto", "onepass"]

BATCHES = 4
"""As many times the batch are answered, at most: a finished one makes room for the next."""

COUNTS = (
    *("threads", "repeats", "rows", "steps", "batch"),
    *("prompt_tokens", "answer_tokens", "max_new_tokens"),
)
LEAST = dict.fromkeys(COUNTS, 1) | {"long": 0, "length": 8, "max_prompt_tokens": 2}
"""Of options, where a kind has them."""

ON_CPU = ("floor", "start")
"""Kinds that are of runs on CPUs."""

NO_MODEL = ("plan",)
"""Kinds that run none."""


def add_arguments(parser: ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for name, run_kind in KINDS.items():
        kind = kinds.add_parser(name, description=run_kind.__doc__)
        kind.add_argument("--out", type=Path, required=True, help="folder to write")
        kind.set_defaults(run_kind=run_kind)
        ADD[name](kind)
        if name in NO_MODEL:
            continue
        model = kind.add_mutually_exclusive_group(required=True)
        model.add_argument("--weights", type=Path, help="the model")
        model.add_argument(
            "--shape", choices=shapes.SHAPES, help="or random weights of this shape"
        )
        kind.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
        kind.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
        kind.add_argument(
            "--threads", type=int, default=os.cpu_count(), help="CPU threads"
        )


def add_repeats(kind: ArgumentParser) -> None:
    kind.add_argument("--repeats", type=int, default=5, help="runs of each")


def add_forced(kind: ArgumentParser) -> None:
    add_repeats(kind)
    kind.add_argument("--records", type=Path, help="Parquet; default: random tokens")
    kind.add_argument("--beta", type=float, nargs="+", default=[0.1, 0.25, 0.5])
    kind.add_argument("--batch", type=int, nargs="+", default=[1, 16, 64])
    kind.add_argument("--prompt-tokens", type=int, default=32)
    kind.add_argument("--answer-tokens", type=int, default=64)
    kind.add_argument("--long", type=int, default=256, help="one row more; 0: none")
    kind.add_argument("--temperature", type=float, nargs="+", default=[1.0])
    kind.add_argument("--engines", nargs="+", default=ENGINES, choices=ENGINES)


def add_free(kind: ArgumentParser) -> None:
    add_repeats(kind)
    kind.add_argument("--records", type=Path, help="Parquet; default: random tokens")
    kind.add_argument("--rows", type=int, default=128, help="prompts to answer")
    kind.add_argument("--temperature", type=float, default=0.0, help="0: greedy")
    kind.add_argument("--batch", type=int, nargs="+", default=[1, 16, 64])
    kind.add_argument(
        "--siblings",
        type=Path,
        help="answers to the same prompts, Parquet, which ours may resemble",
    )
    kind.add_argument(
        "--correct",
        action="store_true",
        help="ask for corrections of these answers instead",
    )
    add_limits(kind)


def add_floor(kind: ArgumentParser) -> None:
    kind.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        help="results of a finished run of this machine",
    )


def add_scale(kind: ArgumentParser) -> None:
    kind.add_argument("--records", type=Path, required=True, help="Parquet, repeated")
    kind.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    kind.add_argument("--beta", type=float, default=0.25, help="of the forced pass")
    add_limits(kind)


def add_start(kind: ArgumentParser) -> None:
    add_repeats(kind)
    kind.add_argument("--records", type=Path, required=True, help="Parquet")


def add_plan(kind: ArgumentParser) -> None:
    add_repeats(kind)
    kind.add_argument(
        "--config",
        type=Path,
        nargs="+",
        action="append",
        required=True,
        metavar="FILE",
        help="a configuration: a file, and others on top of it; several times for several",
    )
    kind.add_argument(
        "--directory",
        type=Path,
        default=Path(),
        help="of their results; what is there is not planned",
    )


def add_limits(kind: ArgumentParser) -> None:
    kind.add_argument("--max-new-tokens", type=int, default=96)
    kind.add_argument("--max-prompt-tokens", type=int, default=256)


def add_train(kind: ArgumentParser) -> None:
    add_parts(kind)
    add_others(kind)


def add_dpo(kind: ArgumentParser) -> None:
    kind.add_argument("--beta", type=float, default=0.1)
    add_steps(kind)
    add_others(kind)


def add_parts(kind: ArgumentParser) -> None:
    kind.add_argument("--rows", type=Path, help="training rows; default: random")
    add_steps(kind)


def add_steps(kind: ArgumentParser) -> None:
    kind.add_argument("--steps", type=int, default=5, help="optimiser steps")
    kind.add_argument("--batch", type=int, default=8, help="random rows of a step")
    kind.add_argument("--length", type=int, default=512, help="longest random row")


def add_others(kind: ArgumentParser) -> None:
    add_repeats(kind)
    kind.add_argument("--compile", action="store_true", help="also with torch.compile")
    kind.add_argument("--fp32", action="store_true", help="also in fp32")
    kind.add_argument("--peak-tflops", type=float, help="of the device, for a share")


def run(args: Namespace) -> None:
    for name, least in LEAST.items():
        given = getattr(args, name, None)
        for number in given if isinstance(given, list) else [given]:
            if isinstance(number, int):  # --rows of a training is a file
                at_least(f"--{name.replace('_', '-')}", number, least)
    args.out.mkdir(parents=True, exist_ok=True)  # or hours are measured for nothing
    if args.kind in NO_MODEL:
        args.run_kind(args)
    else:
        _run_with_model(args)
    print((args.out / f"{args.kind}.md").read_text(encoding="utf-8"))


def _run_with_model(args: Namespace) -> None:
    if args.kind in ON_CPU:
        if args.device not in ("auto", "cpu"):
            raise UserError(
                f"bench {args.kind}: found --device {args.device}, allowed: cpu, whose runs"
                " alone it knows"
            )
        args.device = "cpu"
    claim(args.device, args.threads)
    with tempfile.TemporaryDirectory() as folder:
        if args.shape:
            args.weights = Path(folder)
            shapes.write(args.shape, args.weights)
        args.run_kind(args)


def run_forced(args: Namespace) -> None:
    """Engines of the forced pass beside generate with a forcing processor."""
    for beta in args.beta:
        if not 0 <= beta <= 1:
            raise UserError(f"--beta: found {beta}, allowed: 0 to 1")
    model, where, facts = bench_inputs.place(args)
    model = plain = loading.cast(model, where.device, where.precision)
    if where.device == "cpu":  # prepacked; elsewhere it is the same
        model, _, _ = loading.load_for_generation(args.weights, where)
    tokens = bench_inputs.running_text(args, model)
    grid = forced.cases(
        args.beta, args.batch, args.prompt_tokens, args.answer_tokens, args.long
    )
    bench = harness.Bench("The scheduled-sampling pass", facts, [])
    for temperature in args.temperature:
        sampling = Sampling(temperature)
        for case in grid:
            arguments = (model, plain, case, tokens, sampling)
            if model.device.type == "cuda":
                forced.run(*arguments, 1, args.engines)  # kernels are planned by shape
            bench.timings += forced.run(*arguments, args.repeats, args.engines)
            bench.write(args.out, "forced", forced.page(bench.timings))


def run_free(args: Namespace) -> None:
    """Engines of free-running answers beside generate in arrival order."""
    sampling = Sampling(args.temperature)
    model, where, facts = bench_inputs.place(args)
    prompts = list(bench_inputs.asked(args, model.config.vocab_size))
    if not prompts:
        raise UserError(
            f"{args.records}: found no held-out record, allowed: one or more"
        )
    if args.records:
        facts |= {"records": args.records.stem, "turn": 2 if args.correct else 1}
    facts["temperature"] = args.temperature  # shown where it is not 0
    bench = harness.Bench("Free-running answers", facts, [])
    for size in args.batch:
        # As many batches of each size, as far as there are prompts
        some = prompts[: BATCHES * size]
        case = free.Case(args.weights, some, args.max_new_tokens, size, where, sampling)
        bench.timings += free.run(case, args.repeats)
        bench.write(args.out, "free", free.page(bench.timings))


def run_train(args: Namespace) -> None:
    """The training loop beside TRL's SFTTrainer."""
    _train(args, training.random_rows)


def run_dpo(args: Namespace) -> None:
    """The training loop on pairs beside TRL's DPOTrainer."""
    _train(args, training.random_pairs, Preference(beta=args.beta))


def _train(
    args: Namespace,
    random_rows: Callable[[int, int, int, int], list[dict[str, Any]]],
    preference: Preference | None = None,
) -> None:
    model, where, facts = bench_inputs.place(args)
    rows = bench_inputs.training_rows(args, model, random_rows)
    flops = training.flops_per_token(model, rows)
    case = training.Case(args.weights, rows, where, preference)
    timings = training.run(case, args.repeats, args.compile, args.fp32)
    for timing in timings:
        timing.notes |= {"flops": flops, "peak": args.peak_tflops}
    bench = harness.Bench(TITLES[args.kind], facts, timings)
    bench.write(args.out, args.kind, training.page(timings))


def run_parts(args: Namespace) -> None:
    """Where the time of a training step goes, beside its matrix products alone."""
    model, where, facts = bench_inputs.place(args)
    if where.device == "mps":
        raise UserError(
            "bench parts: found mps, which is not profiled; allowed: cpu, cuda"
        )
    rows = bench_inputs.training_rows(args, model, training.random_rows)
    timings = parts.run(training.Case(args.weights, rows, where))
    bench = harness.Bench("Parts of a training step", facts, timings)
    bench.write(args.out, "parts", parts.page(timings))


def run_plan(args: Namespace) -> None:
    """The plan of a run, from the command to its end, beside the start of Snakemake."""
    timings = plan.run(bench_inputs.plans(args), args.repeats)
    facts = harness.machine(Device("cpu")) | {"precision": "", "threads": ""}
    facts |= {"snakemake": importlib.metadata.version("snakemake")}
    bench = harness.Bench("The plan of a run", facts, timings)
    bench.write(args.out, "plan", plan.page(timings))


def run_floor(args: Namespace) -> None:
    """The least time of a finished run's arithmetic, beside the time that it took."""
    model, where, facts = bench_inputs.place(args)
    models = [path for path in args.results.glob("base/*") if path.is_dir()]
    if len(models) > 1:
        raise UserError(f"--results: found {len(models)} models, allowed: a run of one")
    found = took.manifests_of(p for p in args.results.rglob("*") if p.is_file())
    machine = manifests.machine()
    if any(manifest["machine"] != machine for manifest in found):
        raise UserError(
            "--results: found jobs of another machine, allowed: of this one"
        )
    seconds = took.of_manifests(found).seconds
    timings = floor.run(model, found, machine["cpus"], seconds, where.precision)
    bench = harness.Bench("The floor of a run", facts, timings)
    bench.write(args.out, "floor", floor.page(timings))


def run_scale(args: Namespace) -> None:
    """How time and memory of a pass and of answers grow with the rows."""
    _, where, facts = bench_inputs.place(args)
    if not (records := read(args.records)):
        raise UserError(f"{args.records}: found no record, allowed: one or more")
    case = scale.Case(
        args.weights, records, bench_inputs.prompt_spec(args), args.beta, where
    )
    bench = harness.Bench("More rows", facts | {"records": args.records.stem}, [])
    for count in args.rows:
        bench.timings += scale.run(case, count)
        bench.write(args.out, "scale", scale.page(bench.timings))


def run_start(args: Namespace) -> None:
    """The shortest steps: as processes of their own, and as forks as in a run."""
    _, where, facts = bench_inputs.place(args)
    if not (records := read(args.records)):
        raise UserError(f"{args.records}: found no record, allowed: one or more")
    prompt = PromptSpec("{prompt}", CORRECTION, 256, max_answer_tokens=1)
    case = start.Case(args.weights, records[0], prompt, where)
    timings = start.run(case, args.repeats)
    bench = harness.Bench("The start of a step", facts, timings)
    bench.write(args.out, "start", start.page(timings))


KINDS = {"forced": run_forced, "free": run_free, "train": run_train, "dpo": run_dpo}
KINDS |= {
    "parts": run_parts,
    "floor": run_floor,
    "scale": run_scale,
    "start": run_start,
    "plan": run_plan,
}
ADD = {"forced": add_forced, "free": add_free, "train": add_train, "dpo": add_dpo}
ADD |= {"parts": add_parts, "floor": add_floor, "scale": add_scale, "start": add_start}
ADD["plan"] = add_plan
TITLES = {"train": "Fine-tuning", "dpo": "Fine-tuning on pairs"}
