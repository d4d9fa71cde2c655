"""Exposure bias of a model, in numbers with intervals and on a page: what it says after its
own tokens, beside what it says after those of references."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import fetched
from selfgen.core.errors import UserError
from selfgen.data.columns import Columns
from selfgen.runtime.devices import claim
from selfgen.runtime.progress import Progress


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", help="a folder, or owner/name of the hub")
    parser.add_argument(
        "--data", type=Path, help="JSON lines, JSON, CSV, TSV, Parquet, Arrow"
    )
    parser.add_argument(
        "--task", default="", help="a task whose steps are checked, such as group-words"
    )
    parser.add_argument("--oracle", help="a model that stands for the data")
    parser.add_argument(
        "--features",
        help="a model that embeds texts, such as openai-community/gpt2-large",
    )
    parser.add_argument(
        "--against", nargs="+", default=[], help="models to compare with"
    )
    parser.add_argument(
        "--rows", type=Path, help="training rows (input_ids, labels) to look through"
    )
    parser.add_argument(
        "--prompts", type=int, default=64, help="how many; 64 by default"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all draws")
    parser.add_argument(
        "--planted", type=int, default=4, help="tokens that are replaced at once"
    )
    parser.add_argument(
        "--length",
        type=int,
        help="steps up to which errors against the oracle are summed; by default as many, up"
        " to 32, as a quarter of the answers and of the references have",
    )
    parser.add_argument(
        "--confidence", type=float, default=0.95, help="of intervals; .95 by default"
    )
    parser.add_argument("--prompt", default="", help="column, or template of columns")
    parser.add_argument(
        "--reference", default="", help="column, or template of columns"
    )
    parser.add_argument("--messages", default="", help="column of dialogues instead")
    parser.add_argument("--id", default="", help="column of ids")
    parser.add_argument(
        "--skip-bad-rows",
        action="store_true",
        help="leave rows out that are no records",
    )
    parser.add_argument(
        "--template", default="", help="the user message around {prompt}"
    )
    parser.add_argument(
        "--chat",
        default="",
        help="of a model without chat template: chatml, zephyr, plain",
    )
    parser.add_argument("--max-prompt-tokens", type=int, default=512)
    parser.add_argument("--max-answer-tokens", type=int, default=128)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="CPU threads"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="answers at a time")
    parser.add_argument(
        "--shard",
        default="0/1",
        help="I/N: the parts I, I + N, ... only, in a process of their own",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("measure"), help="the folder of the page"
    )


def run(args: Namespace) -> None:
    from selfgen.library.measure import Unfinished, measure

    claim(args.device, args.threads)
    named = (args.prompt, args.reference, args.messages, args.id)
    folders = [fetched.model(one)[0] for one in (args.model, *args.against)]
    oracle = fetched.model(args.oracle)[0] if args.oracle else None
    features = fetched.model(args.features)[0] if args.features else None
    names = _names(folders)
    number, of = _shard(args.shard)
    found, left = [], list[str]()
    for folder, name in zip(folders, names, strict=True):
        try:
            one = measure(
                folder,
                None,
                args.data,
                name=name,
                task=args.task,
                oracle=oracle,
                features=features,
                training_rows=_rows(args.rows) if folder is folders[0] else (),
                prompts=args.prompts,
                seed=args.seed,
                planted=args.planted,
                length=args.length,
                confidence=args.confidence,
                columns=Columns(*named) if any(named) else None,
                skip_bad_rows=args.skip_bad_rows,
                template=args.template,
                chat=args.chat,
                max_prompt_tokens=args.max_prompt_tokens,
                max_answer_tokens=args.max_answer_tokens,
                device=args.device,
                precision=args.precision,
                batch_size=args.batch_size,
                out=args.out / "parts" / name,
                shard=(number, of),
                progress=Progress(name, "prompts"),
            )
        except Unfinished as error:
            left.append(f"{name}: {error}")
        else:
            found.append(one)
    if left and of > 1:
        print("\n".join(left))
        return
    if left:
        raise UserError("\n".join(left))
    whole = found[0].against(*found[1:])
    page = whole.save(args.out)
    print(whole)
    print(page)


def _names(folders: list[Path]) -> list[str]:
    """What tells the folders apart, as short as that goes; runs call them all weights."""
    parts = [
        tuple(part for part in folder.resolve().parts if part != "weights")
        for folder in folders
    ]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["-".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return [re.sub(r"[^\w.-]+", "-", name) for name in names]
    raise UserError("--against: found the same folder twice, allowed: other models")


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/([1-9]\d*)", text)
    if not found or int(found[1]) >= int(found[2]):
        raise UserError(f"--shard: found {text!r}, allowed: I/N, from 0/N on")
    return int(found[1]), int(found[2])


def _rows(path: Path | None) -> list[dict[str, object]]:
    from selfgen.data import tables

    if path is None:
        return []
    rows = [dict(row) for _, row in tables.read(path)]
    for number, row in enumerate(rows):
        if missing := [name for name in ("input_ids", "labels") if name not in row]:
            raise UserError(f"--rows: {path}: row {number} has no {missing[0]}")
    return rows
