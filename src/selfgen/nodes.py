"""From the configuration to the graph: nodes, passes, files and the spec of every step.

A node is one model of a task: ``base``, ``sft``, ``bash``, ... What two methods share (a
parent, a pass) is one node or one pass, so it is one file and computed once. Pure functions
of the configuration: the workflow only asks which file needs which.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfgen import config as c
from selfgen import specs as s
from selfgen.data.catalog import SOURCES
from selfgen.data.records import DATASETS
from selfgen.data.wording import CHATML, TEMPLATES

METRICS = {"gsm-symbolic": "strict"}
"""Main metric of a data set; ROUGE-L where none is named."""

SUMMARIES = ("news-headlines", "wikipedia-descriptions")
"""Data sets whose prompt's first sentence is a baseline."""


@dataclass(frozen=True)
class Pass:
    """A named generation over training records by the model of node ``generator``."""

    name: str
    generator: str
    kind: str
    method: str


class Graph:
    """What the workflow asks: which files there are and what each step reads."""

    def __init__(self, config: c.Config) -> None:
        self.config = config
        self.sources = SOURCES | {
            name: s.WheelSpec(w.package, w.version, w.filename, w.sha256)
            for name, w in config.sources.items()
        }
        for name, model in config.models.items():
            if isinstance(model, c.GgufModel) and model.source not in self.sources:
                raise s.UserError(
                    f"config: models.{name}.source: found {model.source!r},"
                    f" allowed: {', '.join(self.sources)}"
                )

    # Names and files

    def seeds(self, node: str) -> list[int]:
        """Seeds of a node: an untouched model is the same under every seed."""
        method = self.config.methods[node]
        return self.config.seeds[:1] if method.mix == "none" else self.config.seeds

    def cells(self) -> list[s.Cell]:
        """Every declared (task, model, method, decoding, seed), in table order."""
        return [
            s.Cell(task, model, node, decoding, seed)
            for task in self.config.tasks
            for model in self.config.models
            for node, method in self.config.methods.items()
            for decoding in method.decodings
            for seed in self.seeds(node)
        ]

    def weights(self, task: str, model: str, node: str, seed: int | str) -> str:
        """Folder of a node's weights."""
        if self.config.methods[node].mix == "none":
            return f"results/base/{model}"
        return f"results/models/{task}/{model}/{node}/seed{seed}/weights"

    def parent_weights(self, task: str, model: str, node: str, seed: str) -> str:
        """Folder of the weights that training starts from."""
        return self.weights(task, model, self.config.methods[node].parent, seed)

    def passed(self, node: str) -> Pass | None:
        """The pass that a node's rows are mixed from."""
        method = self.config.methods[node]
        if isinstance(method, c.Bash):
            kind = {"exact": "forced", "onepass": "onepass"}[method.draw]
            name = f"{kind}-b{method.beta:.15g}-{_sampling(method)}"
            if method.eos == "keep":
                name += "-eos"
        elif isinstance(method, c.Rac):
            kind, name = "free", f"free-{_sampling(method)}"
        else:
            return None
        if method.rows == "fresh":
            name += "-fresh"
        return Pass(f"{name}-{method.stage}", method.parent, kind, node)

    def passes(self) -> dict[tuple[str, str], Pass]:
        """All passes by (generator, name)."""
        found = [self.passed(node) for node in self.config.methods]
        # Reversed, so that the first method that names a pass describes it.
        return {(p.generator, p.name): p for p in reversed(found) if p}

    def pass_shards(self, task: str, model: str, node: str, seed: str) -> list[str]:
        """Files of the pass that a node's rows are mixed from."""
        passed = self.passed(node)
        if passed is None:
            return []
        folder = f"results/passes/{task}/{model}/{passed.generator}/{passed.name}"
        return self._shards(f"{folder}/seed{seed}")

    def answer_shards(
        self, task: str, model: str, node: str, decoding: str, seed: int | str
    ) -> list[str]:
        """Files of a node's answers."""
        return self._shards(
            f"results/answers/{task}/{model}/{node}/{decoding}/seed{seed}"
        )

    def _shards(self, folder: str) -> list[str]:
        return [f"{folder}/shard{i}.parquet" for i in range(self.config.shards)]

    def gpus(self) -> int:
        """GPUs that a model's job asks for; none where the device is the CPU."""
        if self.config.device == "auto":
            return int(Path("/dev/nvidiactl").exists())
        return int(self.config.device == "cuda")

    # Specs

    def wheel(self, source: str) -> s.WheelSpec:
        return self.sources[source]

    def model(self, model: str) -> s.ModelSpec:
        found = self.config.models[model]
        if isinstance(found, c.GgufModel):
            return s.ModelSpec("gguf", member=found.member)
        return s.ModelSpec(
            "random",
            chat_template=CHATML,
            model_type=found.model_type,
            architecture=dict(found.architecture),
            seed=found.seed,
        )

    def record_splits(self, task: str) -> tuple[str, ...]:
        """Splits that answers are read on; the headline split first."""
        if self.config.evaluation.split == "validation":
            return ("validation",)
        splits = DATASETS[self.config.tasks[task].dataset].splits
        return tuple(sorted((x for x in splits if x.startswith("test")), reverse=True))

    def records(self, task: str) -> s.RecordsSpec:
        t = self.config.tasks[task]
        fresh = any(
            getattr(m, "rows", "") == "fresh" for m in self.config.methods.values()
        )
        rows = {"train": t.train_rows * (1 + fresh), "validation": t.validation_rows}
        for split in DATASETS[t.dataset].splits:
            rows.setdefault(split, t.test_rows)
        return s.RecordsSpec(
            task, t.dataset, rows, t.max_words, t.max_reference_words, t.templates
        )

    def leakage(self, task: str) -> s.LeakageSpec:
        t = self.config.tasks[task]
        shared = DATASETS[t.dataset].shared_templates
        guard = self.config.leakage
        return s.LeakageSpec(guard.ngram, guard.share, t.leakage_limit, tuple(shared))

    def prompt(self, task: str) -> s.PromptSpec:
        t = self.config.tasks[task]
        template = t.template or TEMPLATES[t.dataset]
        return s.PromptSpec(
            template, t.correction, t.max_prompt_tokens, t.max_new_tokens
        )

    def generation(self, task: str, generator: str, name: str, seed: int) -> s.PassSpec:
        """Spec of a pass over the training records."""
        passed = self.passes()[generator, name]
        method = self.config.methods[passed.method]
        return s.PassSpec(
            kind=passed.kind,
            seed=seed,
            rows=self._rows(task, method),
            epochs=self.config.stages[method.stage].epochs,
            prompt=self.prompt(task),
            sampling=s.Sampling(method.temperature, method.top_k, method.top_p),
            device=self._device(),
            batch_size=self.config.decoding.batch_size,
            beta=getattr(method, "beta", 0.0),
            eos=getattr(method, "eos", "exclude"),
            shards=self.config.shards,
        )

    def rows(self, task: str, node: str, seed: int) -> s.RowsSpec:
        method = self.config.methods[node]
        stage = self.config.stages[method.stage]
        return s.RowsSpec(
            mix=method.mix,
            seed=seed,
            rows=self._rows(task, method),
            epochs=stage.epochs,
            batch_size=stage.batch_size,
            prompt=self.prompt(task),
            correction_share=getattr(method, "correction_share", 0.0),
        )

    def train(self, node: str, seed: int) -> s.TrainSpec:
        stage = self.config.stages[self.config.methods[node].stage]
        lora = stage.lora
        modules = lora and lora.target_modules
        return s.TrainSpec(
            seed=seed,
            learning_rate=stage.learning_rate,
            scheduler=stage.scheduler,
            warmup_ratio=stage.warmup_ratio,
            weight_decay=stage.weight_decay,
            max_grad_norm=stage.max_grad_norm,
            adam_betas=tuple(stage.adam_betas),
            adam_epsilon=stage.adam_epsilon,
            device=self._device(),
            lora=lora
            and s.LoraSpec(
                lora.rank,
                lora.alpha,
                lora.dropout,
                modules if isinstance(modules, str) else tuple(modules),
            ),
        )

    def answers(self, task: str, decoding: str, seed: int) -> s.AnswersSpec:
        d = self.config.decoding
        return s.AnswersSpec(
            decoding=decoding,
            splits=self.record_splits(task),
            prompt=self.prompt(task),
            sampling=s.Sampling(d.temperature, d.top_k, d.top_p),
            seed=seed,
            device=self._device(),
            batch_size=d.batch_size,
            shards=self.config.shards,
        )

    def scores(self, task: str) -> s.ScoresSpec:
        math = self.config.tasks[task].dataset == "gsm-symbolic"
        graders = ("overlap", "math") if math else ("overlap",)
        return s.ScoresSpec(graders, self.record_splits(task))

    def collect(self) -> s.CollectSpec:
        methods = self.config.methods
        passes = {node: self.passed(node) for node in methods}
        return s.CollectSpec(
            cells=(*self.lead_1(), *self.cells()),
            parents={node: getattr(m, "parent", None) for node, m in methods.items()},
            passes={n: p and f"{p.generator}/{p.name}" for n, p in passes.items()},
        )

    def lead_1(self) -> list[s.Cell]:
        """The first-sentence row of the tasks that summarise."""
        return [
            s.Cell(task, "-", "lead-1", "direct", self.config.seeds[0])
            for task, t in self.config.tasks.items()
            if t.dataset in SUMMARIES
        ]

    def tables(self) -> s.TablesSpec:
        columns = []
        for task, t in self.config.tasks.items():
            metric = METRICS.get(t.dataset, "rougeL")
            for split in self.record_splits(task):
                shared = split in DATASETS[t.dataset].shared_templates
                title = (
                    task if split == "test" else f"{task}, {split.replace('_', ' ')}"
                )
                columns.append(s.Column(task, split, metric, title, shared))
        evaluation = self.config.evaluation
        return s.TablesSpec(
            scale=self.config.scale,
            columns=tuple(columns),
            labels={name: m.label for name, m in self.config.methods.items()},
            baseline=evaluation.baseline,
            bootstrap_samples=evaluation.bootstrap_samples,
            confidence=evaluation.confidence,
            seed=self.config.seeds[0],
        )

    def samples(self) -> s.SamplesSpec:
        return s.SamplesSpec(tuple(self.cells()), self.tables())

    def _device(self) -> s.Device:
        return s.Device(self.config.device, self.config.precision)

    def _rows(self, task: str, method: c.Plain | c.Bash | c.Rac) -> tuple[int, int]:
        n = self.config.tasks[task].train_rows
        return (n, 2 * n) if method.rows == "fresh" else (0, n)


def _sampling(method: c.Bash | c.Rac) -> str:
    # 15 digits: values that differ must not share a name, and 0.1 stays 0.1.
    name = f"t{method.temperature:.15g}"
    name += f"-k{method.top_k}" if method.top_k else ""
    return name + (f"-p{method.top_p:.15g}" if method.top_p < 1 else "")
