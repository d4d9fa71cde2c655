"""What can be seen of a run's data, models and disk before its first job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.config.own_rows import FILE
from selfgen.core.errors import UserError
from selfgen.core.memory import shown
from selfgen.data import look
from selfgen.data.leakage import check as check_leakage
from selfgen.data.look import Look
from selfgen.data.prompts import PromptSpec, load_tokenizer
from selfgen.data.turns import turns
from selfgen.graph import cost, paths
from selfgen.graph.steps import Graph
from selfgen.tasks.build import build

TRIED_BYTES = 2e9
"""Of the weights of models that are tried: larger ones take longer to load than one waits."""


class Readiness:
    """Lines about a configuration, and the problems that a run would meet."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.problems: list[str] = []
        self._tokenizers: dict[str, Any] = {}

    def lines(self) -> Iterator[str]:
        """What was found, one fact a line; all ``problems`` are known after the last."""
        for model in self.graph.config.models:
            yield from self._model(model)
        for task, section in self.graph.config.tasks.items():
            if section.dataset == FILE:
                yield from self._task(task)
        yield from self._disk()

    def _folder(self, model: str) -> Path | None:
        """Where a model lies, if it is here."""
        made = Path(paths.fill(paths.BASE, model=model))
        if made.is_dir():
            return made
        return self.graph.sources.folder(self.graph.config.models[model])

    def _model(self, name: str) -> Iterator[str]:
        where = f"models.{name}"
        if (folder := self._folder(name)) is None:
            yield f"{where}: not here yet; its tokenizer and its lengths are not looked at"
            return
        try:
            tokenizer = load_tokenizer(folder)
            end = tokenizer.convert_ids_to_tokens(turns(tokenizer).end)
            self._tokenizers[name] = tokenizer
            yield f"{where}: {len(tokenizer):,} tokens; a turn ends with {end}"
            yield from self._tried(where, folder)
        except UserError as error:
            self.problems.append(f"{where}: {error}")

    def _tried(self, where: str, folder: Path) -> Iterator[str]:
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        if size > TRIED_BYTES:
            yield f"{where}: {shown(size)} of weights, not tried here"
            return
        from transformers.utils.logging import disable_progress_bar

        from selfgen.models import loading, probe

        disable_progress_bar()
        model = loading.load(folder)
        way = probe.reader(model).way
        yield f"{where}: {probe.name_of(model)}, read {way}"

    def _task(self, name: str) -> Iterator[str]:
        where, section = f"tasks.{name}", self.graph.config.tasks[name]
        files: dict[str, list[Path]] = {}
        sources = self.graph.sources.own_files(name)
        for key, path in sources.items():
            files.setdefault(key.partition(".")[0], []).append(Path(path))
        if absent := [p for some in files.values() for p in some if not p.exists()]:
            yield f"{where}: not here yet: {', '.join(map(str, absent))}"
            return
        spec = self.graph.records(name)
        try:
            found = look.look(files, section.own_spec().columns)
        except UserError as error:
            self.problems.append(f"{where}: {error}")
            return
        has = ", ".join(f"{n:,} {split}" for split, n in found.splits.items())
        asked = ", ".join(f"{n:,} {split}" for split, n in spec.rows.items())
        yield f"{where}: {found.rows:,} rows: {has}; asked for: {asked}"
        if found.faults.counts:
            yield f"{where}: no records: {found.faults.told()}"
        yield (
            f"{where}: {found.several} prompts have several references,"
            f" {found.inside} references stand in their own prompt"
        )
        try:
            built, _ = build(spec, {key: Path(path) for key, path in sources.items()})
            report = check_leakage(built.to_list(), self.graph.leakage(name))
            shares = (f"{s} {x['share']:.1%}" for s, x in report["splits"].items())
            yield f"{where}: prompts that leak from training: {', '.join(shares)}"
        except UserError as error:
            self.problems.append(str(error))
        yield from self._lengths(name, found)

    def _lengths(self, name: str, found: Look) -> Iterator[str]:
        prompt = self.graph.prompt(name)
        for model in self.graph.models(name):
            if (tokenizer := self._tokenizers.get(model)) is None or not found.sample:
                continue
            where = f"tasks.{name}: with models.{model}"
            try:
                lengths = look.lengths(found.sample, tokenizer, prompt)
            except UserError as error:
                self.problems.append(f"{where}: {error}")
                continue
            yield self._cut(where, lengths, prompt)

    def _cut(self, where: str, lengths: look.Lengths, prompt: PromptSpec) -> str:
        """How many prompts and answers are longer than allowed."""
        over = [
            sum(n > limit for n in values) / len(values)
            for values, limit in (
                (lengths.prompts, prompt.max_prompt_tokens),
                (lengths.answers, prompt.max_answer_tokens),
            )
        ]
        (p, a), (most_p, most_a) = lengths.at(0.5), lengths.at(1.0)
        if over[1] > 0.5:
            self.problems.append(
                f"{where}: max_new_tokens: found {prompt.max_answer_tokens}, which cuts"
                f" {over[1]:.0%} of the answers; allowed: {most_a} for all of them"
            )
        return (
            f"{where}: prompts of {p} tokens (longest {most_p}; {over[0]:.0%} are cut),"
            f" answers of {a} (longest {most_a}; {over[1]:.0%} are cut)"
        )

    def _disk(self) -> Iterator[str]:
        try:
            sizes = cost.parameters(self.graph)
        except UserError:
            yield "disk: not known before the models are here"
            return
        needed = cost.disk(self.graph, sizes, cost.works(self.graph)).peak
        free = shutil.disk_usage(Path()).free
        yield f"disk: about {shown(needed)} at most, {shown(free)} are free"
        if needed > free:
            self.problems.append(
                f"disk: {shown(needed)} are needed at most, {shown(free)} are free; allowed:"
                " keep_weights: false, fewer methods or seeds, or another --directory"
            )
