"""Sample answers of all methods side by side: what the numbers are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from selfgen.report.collect import label
from selfgen.report.grid import NOT_RUN
from selfgen.report.spec import TableSpec

PROMPT_WORDS = 60
Answers = tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]
"""A cell (task, model, method, decoding, seed) and its answers (id, text, ...)."""


def samples_page(
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    answers: Iterable[Answers],
    spec: TableSpec[Any],
    k: int = 3,
) -> str:
    """A Markdown page: ``k`` held-out examples a task, with every method's answer.

    ``records`` are the records of each task; the examples are those with the lowest
    hash of their id in the split of the task's first column, so nobody picked them. Of
    several seeds the lowest is shown. Methods keep the order of ``answers``.
    """
    columns = _columns(list(answers))
    lines = [f"# Sample answers (scale: {spec.scale})"]
    for task in dict.fromkeys(column.task for column in spec.columns):
        split = next(c.split for c in spec.columns if c.task == task)
        held_out = [record for record in records[task] if record["split"] == split]
        own = {key: texts for key, texts in columns.items() if key[0] == task}
        lines += ["", f"## {task}, {split}"]
        for record in sorted(held_out, key=lambda record: _hash(record["id"]))[:k]:
            lines += [
                "",
                f"### {_inline(record['id'])}",
                "",
                _cut(record["prompt"]),
                "",
            ]
            lines += ["| Method | Answer |", "|:--|:--|"]
            lines.append(f"| *Reference* | {_inline(record['reference'])} |")
            for (_, model, method, decoding), texts in own.items():
                name = label(spec.labels, method, decoding)
                name += f" ({model})" if len({key[1] for key in own}) > 1 else ""
                text = _inline(texts.get(record["id"], NOT_RUN))
                lines.append(f"| {_inline(name)} | {text} |")
    return "\n".join(lines) + "\n"


def _columns(answers: list[Answers]) -> dict[tuple[str, ...], dict[str, str]]:
    columns: dict[tuple[str, ...], tuple[int, dict[str, str]]] = {}
    for cell, rows in answers:
        key = (cell["task"], cell["model"], cell["method"], cell["decoding"])
        if key not in columns or cell["seed"] < columns[key][0]:
            columns[key] = (cell["seed"], {row["id"]: row["text"] for row in rows})
    return {key: texts for key, (_, texts) in columns.items()}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _cut(prompt: str) -> str:
    words = prompt.split()
    more = " …" if len(words) > PROMPT_WORDS else ""
    return f"> {_inline(' '.join(words[:PROMPT_WORDS]))}{more}"


def _inline(text: str) -> str:
    """Text as one line of Markdown that shows exactly the characters it has."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    for character in "\\`*_|#$[]~":
        text = text.replace(character, f"\\{character}")
    return "<br>".join(text.strip().splitlines()) or "*(empty)*"
