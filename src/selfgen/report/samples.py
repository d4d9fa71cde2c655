"""Sample answers of all methods side by side: what the numbers are made of."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import read_rows
from selfgen.core.text import shown
from selfgen.data.records import asked_text, read
from selfgen.report.collect import label
from selfgen.report.grid import NOT_RUN, markdown_block
from selfgen.report.registry import Rows, by_method
from selfgen.report.spec import TableSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

PROMPT_WORDS = 60


def samples_page(
    records: Mapping[str, Rows],
    answers: Sequence[Rows],
    spec: TableSpec[Any],
    k: int = 3,
) -> str:
    """A Markdown page: ``k`` held-out examples a task, with every method's answer.

    ``records`` are the records of each task; the examples are those with the lowest
    hash of their id in the split of the task's first column, so nobody picked them. Of
    several seeds the lowest is shown. ``answers``: rows of id and text of each cell.
    """
    columns = {
        key: {row["id"]: row["text"] for row in by_seed[min(by_seed)]}
        for key, by_seed in by_method(spec, answers, decoding=True).items()
    }
    lines = [f"# Sample answers (scale: {spec.scale})"]
    for task in dict.fromkeys(column.task for column in spec.columns):
        split = next(c.split for c in spec.columns if c.task == task)
        held_out = [record for record in records[task] if record["split"] == split]
        own = {key: texts for key, texts in columns.items() if key[0] == task}
        lines += ["", f"## {task}, {split}"]
        held_out.sort(key=lambda r: hashlib.sha256(r["id"].encode()).hexdigest())
        for record in held_out[:k]:
            lines += ["", f"### {_inline(record['id'])}", "", _cut(asked_text(record))]
            lines += ["", "| Method | Answer |", "|:--|:--|"]
            lines.append(f"| *Reference* | {_inline(record['reference'])} |")
            for (_, model, method, decoding), texts in own.items():
                name = label(spec.labels, method, decoding)
                name += f" ({model})" if len({key[1] for key in own}) > 1 else ""
                text = _inline(texts.get(record["id"], NOT_RUN))
                lines.append(f"| {_inline(name)} | {text} |")
    return "\n".join(lines) + "\n"


def _cut(prompt: str) -> str:
    words = shown(prompt).split()
    more = " …" if len(words) > PROMPT_WORDS else ""
    return f"> {markdown_block(_inline(' '.join(words[:PROMPT_WORDS])))}{more}"


def _inline(text: str) -> str:
    """Text as one line of Markdown that shows exactly the characters it has, those that are
    no text as signs."""
    text = html.escape(shown(text), quote=False)
    for character in "\\`*_|#$[]~":
        text = text.replace(character, f"\\{character}")
    return text.strip().replace("\n", "<br>") or "*(empty)*"


def step(spec: TableSpec[Any], job: Job) -> dict[str, Any]:
    """A page of held-out examples with every method's answer."""
    tasks = dict.fromkeys(column.task for column in spec.columns)
    records = dict(zip(tasks, map(read, job.paths("records")), strict=True))
    answers = [read_rows(path) for path in job.paths("answers")]
    job.write({"page": samples_page(records, answers, spec)})
    return {}
