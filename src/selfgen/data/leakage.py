"""The leakage guard: how much of the held-out prompts stands in training prompts."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.data.records import asked_text, read

if TYPE_CHECKING:
    from selfgen.runtime.job import Job


@dataclass(frozen=True)
class LeakageSpec:
    """The most that held-out prompts may share with training prompts.

    A held-out prompt leaks when at least ``share`` of its ``ngram``-grams stand in a training
    prompt; at most ``limit`` of the prompts of a split may. ``shared_templates`` names the
    splits that share templates by design and are reported, not refused. ``published``: the
    splits are others', so a prompt that stands in two of them is counted, not refused.
    """

    ngram: int
    share: float
    limit: float
    shared_templates: tuple[str, ...] = ()
    published: bool = False


_SHOWN = 5

Gram = tuple[str, ...]


def words(prompt: str) -> list[str]:
    """The words of a prompt in lower case, every digit as 0."""
    return re.findall(r"\w+", re.sub(r"\d", "0", prompt.lower()))


def _grams(tokens: list[str], n: int) -> Iterator[Gram]:
    """The n-grams of a prompt; a shorter prompt is one gram, compared whole."""
    for i in range(max(1, len(tokens) - n + 1)):
        yield tuple(tokens[i : i + n])


def check(records: list[dict[str, Any]], spec: LeakageSpec) -> dict[str, Any]:
    """Report on each held-out split of a task, or refuse it.

    The report holds for each split: ``n`` prompts, ``leaking`` ids, their ``share`` of
    the prompts, ``exact_duplicates`` and ``shared_templates``. A prompt leaks when at
    least ``spec.share`` of its n-grams (distinct ones, ``spec.ngram`` words) stand in
    training prompts.

    Raises:
        UserError: a split that is not in ``spec.shared_templates`` has a larger share
            than ``spec.limit``, or a prompt stands in two splits, unless those are
            ``spec.published``: others' splits stay as they are, and what a prompt has in
            common with training counts as leaking only.
    """
    if not records:
        raise UserError("no records to check for leakage")
    task = records[0]["task"]
    if not spec.published:
        _refuse_duplicates(records, task)
    held_out: dict[str, list[dict[str, Any]]] = {}
    asked: set[Gram] = set()  # training has many more, which need no memory
    training: set[str] = set()
    for row in records:
        if row["split"] == "train":
            training.add(asked_text(row))
        else:
            held_out.setdefault(row["split"], []).append(row)
            asked.update(_grams(words(asked_text(row)), spec.ngram))
    seen = {
        gram
        for prompt in training
        for gram in _grams(words(prompt), spec.ngram)
        if gram in asked
    }
    splits = {}
    for split, rows in held_out.items():
        leaking = [row["id"] for row in rows if _leaks(asked_text(row), seen, spec)]
        share = len(leaking) / len(rows)
        is_shared = split in spec.shared_templates
        if share > spec.limit and not is_shared:
            raise UserError(
                f"task {task}: split {split}: {share:.4f} of the prompts leak from "
                f"train, limit {spec.limit}: {', '.join(leaking[:_SHOWN])}"
            )
        splits[split] = {
            "n": len(rows),
            "share": share,
            "leaking": leaking,
            "exact_duplicates": sum(asked_text(row) in training for row in rows),
            "shared_templates": is_shared,
        }
    return {
        "task": task,
        "ngram": spec.ngram,
        "share": spec.share,
        "limit": spec.limit,
        "splits": splits,
    }


def _leaks(prompt: str, seen: set[Gram], spec: LeakageSpec) -> bool:
    grams = set(_grams(words(prompt), spec.ngram))
    return len(grams & seen) >= spec.share * len(grams)


def _refuse_duplicates(records: list[dict[str, Any]], task: str) -> None:
    first: dict[str, dict[str, Any]] = {}
    twice = []
    for row in records:
        other = first.setdefault(asked_text(row), row)
        if other["split"] != row["split"]:
            twice.append((other, row))
    if twice:
        places = sorted({row["split"] for pair in twice for row in pair})
        shown = ", ".join(f"{a['id']} = {b['id']}" for a, b in twice[:_SHOWN])
        raise UserError(
            f"task {task}: {len(twice)} prompts stand in more than one of the splits "
            f"{', '.join(places)}, allowed 0: {shown}"
        )


def step(spec: LeakageSpec, job: Job) -> dict[str, Any]:
    """The report on records, which is the manifest. Fails where held-out prompts stand in
    training."""
    report = check(read(job.input("records")), spec)
    logging.info("%s", report)
    return report
