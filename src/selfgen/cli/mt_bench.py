"""MT-Bench: a judge's ratings of both turns, 1 to 10."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.cli.judge import announce
from selfgen.core.spec import from_json
from selfgen.judge import mt_bench
from selfgen.judge.client import Judge
from selfgen.judge.spec import GradedSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--answers", type=Path, required=True, help="Parquet")
    parser.add_argument("--questions", type=Path, required=True, help="JSONL")
    parser.add_argument("--references", type=Path, required=True, help="JSONL")
    parser.add_argument("--prompts", type=Path, required=True, help="JSONL")
    parser.add_argument("--replies", type=Path, required=True, help="folder")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    inputs = {name: getattr(args, name) for name in ("answers", "questions", "prompts")}
    hashes = common.hashes(inputs)
    judge = Judge(from_json(GradedSpec, args.spec).endpoint, args.replies)
    clock = common.Clock(args.name, "replies")
    questions = mt_bench.load_questions(args.questions, args.references)
    prompts = mt_bench.load_prompts(args.prompts)
    answers = {
        row["id"]: (row["first"], row["second"])
        for row in common.read_rows([args.answers])
    }
    asked = [(question, turn) for question in questions for turn in (1, 2)]
    requests = [
        mt_bench.request_of(question, answers[str(question.id)], turn, prompts)
        for question, turn in asked
    ]
    announce(judge, requests)
    replies = judge.ask(requests, clock)
    texts = {
        (question.id, turn): reply.text
        for (question, turn), reply in zip(asked, replies, strict=True)
    }
    common.write_rows(args.out, mt_bench.graded(questions, texts))
    common.write_manifest(args, "selfgen.judge.mt_bench", hashes, clock.facts())
