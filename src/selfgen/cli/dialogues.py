"""Answers of a model to both turns of MT-Bench's questions."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.judge.answers import Dialogue, answer_dialogues
from selfgen.judge.mt_bench import load_questions
from selfgen.judge.spec import TwoTurnsSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--questions", type=Path, required=True, help="JSONL")
    parser.add_argument("--references", type=Path, required=True, help="JSONL")
    parser.add_argument("--weights", type=Path, required=True, help="the model")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    hashes = common.hashes({"questions": args.questions, "weights": args.weights})
    clock = common.Clock(args.name, "answers")
    questions = load_questions(args.questions, args.references)
    rows, facts = answer_dialogues(
        [Dialogue(str(q.id), q.turns, q.temperature) for q in questions],
        args.weights,
        from_json(TwoTurnsSpec, args.spec),
        clock,
    )
    common.write_rows(args.out, rows)
    module = "selfgen.judge.answers"
    common.write_manifest(args, module, hashes, facts | clock.facts())
