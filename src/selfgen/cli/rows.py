"""Mix records and a pass into training rows, or pack dialogues, in training order."""

import json
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from selfgen.cli import common
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json
from selfgen.data import dialogues, preferences
from selfgen.data.examples import examples_of
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import read
from selfgen.mixing import blocks
from selfgen.mixing.build import load_function, stream, training_records
from selfgen.mixing.order import tokens_in_time
from selfgen.mixing.spec import RowsSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_manifest(parser)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--records", type=Path, help="records Parquet")
    data.add_argument("--pairs", type=Path, help="judged pairs, instead of records")
    data.add_argument("--dialogues", type=Path, help="whole dialogues, to be packed")
    parser.add_argument(
        "--tokenizer", type=Path, required=True, help="a model's folder"
    )
    parser.add_argument("--pass", dest="shards", type=Path, nargs="*", default=[])
    parser.add_argument(
        "--time-of",
        type=Path,
        nargs="*",
        default=[],
        help="manifests of the pass and the training whose time is to be taken",
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="where files of own functions lie"
    )
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    if args.dialogues:
        _pack(args)
        return
    inputs = {"records": args.pairs or args.records, "tokenizer": args.tokenizer}
    inputs |= {f"pass {i}": path for i, path in enumerate(args.shards)}
    hashes = common.hashes(inputs)
    spec = from_json(RowsSpec, args.spec)
    tokenizer = load_tokenizer(args.tokenizer)
    if args.pairs:
        records = preferences.read(args.pairs, spec.rows[1])
        passes = [
            {"id": record["id"], "epoch": epoch, "text": record["rejected"]}
            for record in records
            for epoch in range(spec.epochs)
        ]
    else:
        records, passes = read(args.records, ["train"]), common.read_rows(args.shards)
    chosen = training_records(records, spec.rows)
    rows = stream(
        examples_of(chosen, spec.prompt, tokenizer),
        passes,
        spec,
        tokenizer,
        tokens=tokens_of(args.time_of) if spec.wall else None,
        grades=_grades(records, passes, spec, args.root) if spec.metric else None,
        function=load_function(f"{args.root / spec.function}")
        if spec.function
        else None,
    )
    counted: Counter[str] = Counter()
    common.write_rows(args.out, _counted(rows, counted))
    common.write_manifest(args, "selfgen.mixing.build", hashes, dict(counted))


def _counted(
    rows: Iterable[dict[str, Any]], facts: Counter[str]
) -> Iterator[dict[str, Any]]:
    """The rows as they are; ``facts`` receives how many there are, of how many steps."""
    last = None
    for row in rows:
        facts["rows"] += 1
        facts["steps"] += row["step"] != last
        last = row["step"]
        yield row


def _pack(args: Namespace) -> None:
    """Blocks are written as they are made: there may be too many to hold."""
    inputs = {"dialogues": args.dialogues, "tokenizer": args.tokenizer}
    hashes = common.hashes(inputs)
    spec = from_json(blocks.BlocksSpec, args.spec)
    tokenizer = load_tokenizer(args.tokenizer)
    read = dialogues.read(args.dialogues, spec.rows, tokenizer)
    facts = Counter({"dialogue_tokens": sum(map(len, read.values()))})
    rows = blocks.build(read, spec, tokenizer.eos_token_id)
    common.write_rows(args.out, _counted(rows, facts))
    common.write_manifest(args, "selfgen.mixing.blocks", hashes, dict(facts))


def tokens_of(manifests: list[Path]) -> float:
    """The tokens that a method's pass and training would have trained on together, at the
    speed of its training."""
    found = [json.loads(path.read_text()) for path in manifests]
    passes = sum(m.get("generation_seconds", 0.0) for m in found)
    trained = [m for m in found if "generation_seconds" not in m]
    seconds = sum(m["seconds"] for m in trained)
    if not seconds:
        raise UserError("--time-of: found no manifest of a training")
    tokens = sum(m["forwarded_tokens"] for m in trained)
    return tokens_in_time(tokens, seconds, passes)


def _grades(
    records: list[dict[str, Any]],
    passes: list[dict[str, Any]],
    spec: RowsSpec,
    root: Path,
) -> dict[tuple[str, int], float]:
    from selfgen.evaluation.metrics import metric

    found = metric(spec.metric, root)
    by_id = {record["id"]: record for record in records}
    return {
        (row["id"], row["epoch"]): found.score(row["text"], by_id[row["id"]])[
            spec.column
        ]
        for row in passes
    }
