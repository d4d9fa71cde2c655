"""Write a first configuration for rows and a model of yours: what is in the file, sizes that
fit a time on this machine, the methods that are worth a run."""

from __future__ import annotations

import logging
import os
import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from selfgen.cli import fetched
from selfgen.cli.where import NAME
from selfgen.config.tasks import CORRECTION
from selfgen.core import names
from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic
from selfgen.core.spec import Device
from selfgen.data import look
from selfgen.data.columns import Columns
from selfgen.data.prompts import PromptSpec, answer_ids, load_tokenizer, prompt_ids
from selfgen.runtime.devices import claim


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "data", type=Path, help="JSON lines, JSON, CSV, TSV, Parquet, Arrow"
    )
    parser.add_argument("model", help="a folder, or owner/name of the hub")
    parser.add_argument(
        "--out", type=Path, help="a new folder for the run; by default the data's name"
    )
    parser.add_argument(
        "--test", type=Path, help="a file of test rows; by default 10 %% of the data"
    )
    parser.add_argument("--prompt", default="", help="column, or template of columns")
    parser.add_argument(
        "--reference", default="", help="column, or template of columns"
    )
    parser.add_argument("--messages", default="", help="column of dialogues instead")
    parser.add_argument("--id", default="", help="column of ids")
    parser.add_argument("--revision", default="main", help="of a model of the hub")
    parser.add_argument(
        "--minutes", type=float, default=60, help="that the run may take; 60 by default"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="CPU threads"
    )


def run(args: Namespace) -> None:
    out: Path = args.out or Path(_name(args.data))
    if (path := out / NAME).exists():
        raise UserError(f"{path}: stands already; name another folder by --out")
    columns = _columns(args)
    files = {"train": [args.data], "test": [args.test]} if args.test else {}
    files = files or {"all": [args.data]}
    logging.getLogger("selfgen").setLevel(logging.WARNING)
    print(f"reading {args.data}", flush=True)
    found = look.look(files, columns)
    if not found.sample:
        raise UserError(f"{args.data}: no row is a record: {found.faults.told()}")
    folder, section = _model(args, out)
    claim(args.device, args.threads)

    # Here, since they import torch.
    from selfgen.bench.calibration import BETA, calibrate
    from selfgen.data.examples import Example
    from selfgen.graph import starter

    tokenizer = load_tokenizer(folder)
    around = PromptSpec("{prompt}", CORRECTION, look.MANY, look.MANY)
    lengths = look.lengths(found.sample, tokenizer, around)
    longest = PromptSpec("{prompt}", CORRECTION, *lengths.at(0.98))
    examples = [
        Example(
            own.id,
            own.prompt,
            prompt_ids(tokenizer, longest, own.prompt, own.history),
            answer_ids(tokenizer, longest, own.reference),
        )
        for own in found.sample
    ]
    print(f"measuring {args.model}: some steps, some tokens", flush=True)
    measured = calibrate(folder, examples, longest, Device(args.device, "auto"))
    start = starter.Start(
        name=_name(args.data),
        files={
            split: [starter.relative(p, out) for p in paths]
            for split, paths in files.items()
        },
        columns=columns,
        model=section,
        look=found,
        lengths=lengths,
        changed=measured.changed,
        beta_measured=BETA,
        parameters=measured.parameters,
        lora=measured.lora.model_dump() if measured.lora else None,
    )
    speed = starter.Speed(measured.trained, measured.written, measured.startup)
    raw, minutes = starter.sized(start, speed, args.minutes)
    out.mkdir(parents=True, exist_ok=True)
    with atomic(path) as partial:
        partial.write_text(
            starter.text(start, raw, minutes, str(out)), encoding="utf-8"
        )
    task = raw["tasks"][start.name]
    print(
        f"{path}: {task['train_rows']} training rows a stage, {task['test_rows']} test rows;"
        f" about {minutes:.0f} minutes"
    )
    print(f"next: selfgen check {out}; selfgen run {out}")


def _columns(args: Namespace) -> Columns:
    given = Columns(args.prompt, args.reference, args.messages, args.id)
    if not (args.prompt or args.reference or args.messages):
        guessed = look.guess(args.data)
        return Columns(guessed.prompt, guessed.reference, guessed.messages, args.id)
    if bool(args.messages) == bool(args.prompt or args.reference) or (
        bool(args.prompt) != bool(args.reference)
    ):
        raise UserError("columns: allowed: --prompt and --reference, or --messages")
    return given


def _name(data: Path) -> str:
    """The data's name as names of a configuration are."""
    stem = data.name.partition(".")[0].lower()
    found = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[: names.MAX_NAME]
    return found or "own"


def _model(args: Namespace, out: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of the model, and its section of the configuration. One of the hub is
    fetched to where the run will look for it."""
    folder, commit = fetched.model(args.model, args.revision)
    if commit:
        return folder, {"kind": "hub", "repo": args.model, "revision": commit}
    path = os.path.relpath(folder.absolute(), out.absolute())
    return folder, {"kind": "local", "path": path}
