"""One experiment under one seed: every variant trained from the same base, in memory.

The steps are those of the workflow, the same library functions with the same specs; only
the files between them are missing. Finished variants are kept in a scratch folder by the
digest of all that made them, so that a new variant costs one variant.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen import methods, tasks
from selfgen.core.errors import UserError, naming
from selfgen.core.memory import peak_memory_mb
from selfgen.core.names import DECODINGS
from selfgen.core.provenance import atomic, code_digest
from selfgen.core.rows import parquet, read_frame
from selfgen.core.sealed import damage, seal
from selfgen.core.spec import to_json
from selfgen.data.examples import Example, examples_of
from selfgen.generation import ends
from selfgen.generation.passes import pass_over
from selfgen.mixing.build import joined
from selfgen.mixing.order import tokens_in_time
from selfgen.models import base
from selfgen.synthetic import measure
from selfgen.synthetic.measure import HeldOut
from selfgen.synthetic.spec import SyntheticSpec, VariantSpec
from selfgen.tasks import DATASETS
from selfgen.tasks.build import build
from selfgen.training.causal import train
from selfgen.training.spec import modules

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job

log = logging.getLogger(__name__)

CURVE_PROMPTS = 256
"""Validation prompts that a learning curve, or the end of the base, is read on."""

FILES = ("scores", "positions", "curves")
"""Tables of a variant, in its folder."""


@dataclass
class Finished:
    """A trained variant: its weights, what it cost, and what was read of it. ``failed``: the
    base did not learn its task, so nothing can be said of what comes after."""

    weights: dict[str, Any]
    facts: dict[str, Any]
    tables: dict[str, pandas.DataFrame] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.facts.get("failed"))


class Experiment:
    """An experiment under one seed, and what has been finished of it."""

    def __init__(self, spec: SyntheticSpec, scratch: Path | None) -> None:
        self.spec, self.scratch = spec, scratch
        self.model, self.tokenizer = base.create(spec.model)
        made, _ = build(spec.records, {})
        by_split: dict[str, list[dict[str, Any]]] = {}
        for row in made.to_list():
            by_split.setdefault(row["split"], []).append(row)
        self.examples = self._examples(by_split["train"])
        self.test = self._held_out(by_split["test"])
        self.validation = self._held_out(by_split["validation"][:CURVE_PROMPTS])
        self.finished: dict[str, Finished] = {}
        self.digests: dict[str, str] = {}
        self.passes: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {}

    def run(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Train and read every variant whose parent has not failed."""
        for done, variant in enumerate(self.spec.variants):
            parent = self.finished.get(variant.parent or "")
            if variant.parent and (parent is None or parent.failed):
                continue
            self.digests[variant.name] = digest = self._digest(variant)
            self.finished[variant.name] = self._kept(digest) or self._keep(
                digest, self._make(variant)
            )
            if progress:
                progress(done + 1, len(self.spec.variants))

    def tables(self) -> dict[str, pandas.DataFrame]:
        """``scores``, ``positions`` and ``curves`` of all methods, with column ``method``."""
        import pandas as pd

        parts: dict[str, list[pandas.DataFrame]] = {name: [] for name in FILES}
        for variant in self.spec.variants:
            finished = self.finished.get(variant.name)
            for name, frame in finished.tables.items() if finished else ():
                parts[name].append(frame.assign(method=variant.declared))
        return {
            name: pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
            for name, frames in parts.items()
        }

    def facts(self) -> dict[str, dict[str, Any]]:
        """What each finished variant cost."""
        return {name: finished.facts for name, finished in self.finished.items()}

    # One variant

    def _make(self, variant: VariantSpec) -> Finished:
        model = self._model(variant.parent)
        passed, facts = self._passed(variant)
        left_out: Counter[str] = Counter()
        rows = [
            *joined(
                self._slice,
                passed,
                variant.rows,
                self.tokenizer,
                tokens=self._tokens(variant.match_wall_time),
                facts=left_out,
            )
        ]
        facts |= left_out
        curve: list[dict[str, float]] = []
        with naming(f"experiments.{self.spec.experiment}: {variant.name}"):
            model, outcome = train(
                model,
                rows,
                variant.train,
                banned=ends.banned(model, self.tokenizer),
                stops=ends.stops(model, self.tokenizer),
                after_step=lambda step: self._after(variant, model, step, curve),
            )
        facts |= outcome.facts
        if variant.stop:
            facts["failed"] = not curve or curve[-1]["exact"] < variant.stop.exact
        finished = Finished(_weights(model), facts)
        finished.tables = {} if facts.get("failed") else self._read(variant, model)
        if variant.curve_every and curve:
            import pandas as pd

            finished.tables["curves"] = pd.DataFrame(curve)
        return finished

    def _after(
        self, variant: VariantSpec, model: Any, step: int, curve: list[dict[str, float]]
    ) -> bool:
        """Read the validation split where it is due; whether training has to end."""
        every = variant.stop.every if variant.stop else variant.curve_every
        if not every or step % every:
            return False
        scores = self._validated(model)
        curve.append({"step": step, **scores})
        return variant.stop is not None and scores["exact"] >= variant.stop.exact

    def _validated(self, model: Any) -> dict[str, float]:
        was = model.training
        scores = measure.summary(
            measure.read(model.eval(), self.tokenizer, self.validation)
        )
        model.train(was)
        return scores

    def _read(self, variant: VariantSpec, model: Any) -> dict[str, pandas.DataFrame]:
        import pandas as pd

        model.eval()
        parts: dict[str, list[pandas.DataFrame]] = {"scores": [], "positions": []}
        drafts: dict[str, list[int]] | None = None
        # Each decoding is shown the answers of the one before it.
        asked = 1 + max(map(DECODINGS.index, variant.decodings), default=-1)
        for decoding in DECODINGS[:asked]:
            tables = measure.read(model, self.tokenizer, self.test, drafts)
            drafts = {reading.example.id: reading.answer for reading in tables}
            if decoding not in variant.decodings:
                continue
            for name, table in (
                ("scores", measure.scores(tables)),
                ("positions", measure.positions(tables)),
            ):
                parts[name].append(table.assign(decoding=decoding))
        return {
            name: pd.concat(frames, ignore_index=True)
            for name, frames in parts.items()
            if frames
        }

    def _passed(
        self, variant: VariantSpec
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Rows and facts of a variant's pass; several variants may read the same."""
        if variant.passed is None:
            return [], {}
        generator = self.digests[variant.generator] if variant.generator else ""
        key = generator + to_json(variant.passed)
        if key not in self.passes:
            facts: dict[str, Any] = {}
            drawn = pass_over(
                self._model(variant.generator).eval(),
                self.tokenizer,
                self._slice(variant.passed.rows),
                variant.passed,
                facts,
                batch_size=measure.BATCH,
                engine="sequential",
            )
            self.passes[key] = ([*drawn.rows], facts)
        rows, facts = self.passes[key]
        return rows, {"generation_seconds": facts["generation_seconds"]} | {
            name: facts[name]
            for name in ("generated_tokens", "drawn_tokens", "changed_tokens")
            if name in facts
        }

    def _tokens(self, other: str | None) -> float | None:
        """The tokens that another variant's pass and training would have trained on, at the
        speed of its training."""
        if other is None:
            return None
        facts = self.finished[other].facts
        return tokens_in_time(
            facts["forwarded_tokens"],
            facts["seconds"],
            facts.get("generation_seconds", 0.0),
        )

    def _model(self, variant: str | None) -> Any:
        model = copy.deepcopy(self.model)
        if variant is not None:
            model.load_state_dict(self.finished[variant].weights)
        return model

    # Records

    def _slice(self, rows: tuple[int, int]) -> list[Example]:
        """A part of the training records."""
        return self.examples[slice(*rows)]

    def _examples(self, rows: list[dict[str, Any]]) -> list[Example]:
        return examples_of(rows, self.spec.prompt, self.tokenizer)

    def _held_out(self, rows: list[dict[str, Any]]) -> HeldOut:
        aligned = DATASETS[self.spec.records.dataset].aligned
        if aligned is None:
            raise UserError(
                f"experiments.{self.spec.experiment}: answers of"
                f" {self.spec.records.dataset} are not aligned with the reference"
            )
        ids = self.tokenizer.convert_tokens_to_ids
        same = {ids(token): ids(meaning) for token, meaning in aligned.items()}
        return HeldOut(
            self._examples(rows),
            [int(row["kind"]) for row in rows],
            same,
            self.spec.prompt,
        )

    # Variants that are kept

    def _digest(self, variant: VariantSpec) -> str:
        """Of everything that a finished variant depends on."""
        others = (variant.parent, variant.generator, variant.match_wall_time)
        parts = [
            code_digest(
                __name__,
                tasks.module(self.spec.records.dataset),
                methods.code(variant.rows.method.mix),
                *modules(type(variant.train.loss)),
            ),
            to_json(replace(self.spec, variants=(variant,), experiment="")),
            *(self.digests[other] for other in others if other),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _kept(self, digest: str) -> Finished | None:
        from safetensors.torch import load_file

        folder = self.scratch and self.scratch / digest
        if not folder or not folder.is_dir():
            return None
        if found := damage(folder):
            log.warning("%s is damaged: %s; training it anew", folder, found)
            return None
        return Finished(
            load_file(folder / "weights.safetensors"),
            json.loads((folder / "facts.json").read_text()),
            {
                name: read_frame(folder / f"{name}.parquet")
                for name in FILES
                if (folder / f"{name}.parquet").exists()
            },
        )

    def _keep(self, digest: str, finished: Finished) -> Finished:
        from safetensors.torch import save_file

        if self.scratch:
            with atomic(self.scratch / digest) as partial:
                partial.mkdir(parents=True)
                save_file(finished.weights, partial / "weights.safetensors")
                (partial / "facts.json").write_text(json.dumps(finished.facts))
                for name, frame in finished.tables.items():
                    (partial / f"{name}.parquet").write_bytes(parquet(frame))
                seal(partial)
        return finished


def _weights(model: Any) -> dict[str, Any]:
    """A copy of the weights."""
    return {n: value.detach().clone() for n, value in model.state_dict().items()}


def step(spec: SyntheticSpec, job: Job) -> dict[str, Any]:
    """Every variant of an experiment under one seed, trained and measured."""
    job.claim("cpu")
    experiment = Experiment(spec, job.scratch and job.scratch / "synthetic")
    experiment.run(job.progress("variants"))
    for name, frame in experiment.tables().items():
        job.write({name: parquet(frame)})
    return {"variants": experiment.facts(), "peak_memory_mb": peak_memory_mb()}
