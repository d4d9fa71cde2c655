"""From the configuration to the graph: checkpoints, passes and the specs of most steps.

A checkpoint is one model of a task: ``base``, ``sft``, ``bash``, ... What two methods share
(a parent, a pass) is one checkpoint or one pass, so it is one file and computed once. Pure
functions of the configuration.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from selfgen import config as c
from selfgen.config.own_rows import FILE
from selfgen.config.tasks import Decoding
from selfgen.core import own_code
from selfgen.core.errors import naming
from selfgen.core.spec import Device, Sampling, Steps
from selfgen.core.types import part
from selfgen.data.dataset import RecordsSpec
from selfgen.data.leakage import LeakageSpec
from selfgen.data.prompts import PromptSpec
from selfgen.evaluation.scores import ScoresSpec
from selfgen.generation.spec import AnswersSpec, PassSpec
from selfgen.graph import lineage, paths, scoring, sources
from selfgen.graph.lineage import Checkpoint, Pass
from selfgen.graph.sources import Sources
from selfgen.methods import Rows
from selfgen.methods.base import Method, Trained
from selfgen.mixing.spec import Epochs, RowsSpec
from selfgen.models.base import ModelSpec, tokenizer_of
from selfgen.report.spec import Cell
from selfgen.tasks import DATASETS
from selfgen.training.spec import LOSSES, Optimization, TrainSpec


class Graph:
    """What the workflow asks: which files there are and what each step reads."""

    def __init__(
        self, config: c.Config, root: Path = Path(), resources: str = "resources"
    ) -> None:
        """``root``: where the files of functions of one's own lie; ``resources``: where
        downloads do."""
        self.config, self.root = config, root
        self.checkpoints = lineage.resolve(config.methods, self._grids())
        self._passed: dict[tuple[str, str], Pass | None] = {}
        self.sources = Sources(config, resources)
        scoring.check(config, root)
        for name, method in config.methods.items():
            own = method.own_code() if isinstance(method, Trained) else {}
            for key, address in own.items():
                with naming(f"config: methods.{name}.{key}"):
                    own_code.digest(address, root)
        for checkpoint in self.checkpoints.values():
            if checkpoint.rounds > 1:
                for task in config.tasks:
                    if checkpoint.declared not in self.methods(task):
                        continue
                    self._steps(task, checkpoint)  # refuses more rounds than steps

    # Names and files

    def models(self, task: str) -> list[str]:
        """Base models of a task."""
        return self.config.tasks[task].models or list(self.config.models)

    def methods(self, task: str) -> dict[str, Method]:
        """Methods of a task, in the order in which they are declared."""
        own = self.config.tasks[task].methods
        methods = self.config.methods
        return {k: method for k, method in methods.items() if own is None or k in own}

    def seeds(self, task: str, checkpoint: str) -> list[int]:
        """Seeds of a checkpoint: an untouched model is the same under every seed."""
        seeds = self.config.tasks[task].seeds or self.config.seeds
        return seeds[:1] if self.checkpoints[checkpoint].parent is None else seeds

    def trained(self) -> list[tuple[str, str, str, int]]:
        """Every (task, model, checkpoint, seed) that is fine-tuned, but for those that tell
        how good a learning rate is (``graph.tuning``)."""
        return [
            (task, model, name, seed)
            for task in self.config.tasks
            for model in self.models(task)
            for name, checkpoint in self.checkpoints.items()
            if checkpoint.parent is not None
            and checkpoint.rate is None
            and checkpoint.declared in self.methods(task)
            for seed in self.seeds(task, name)
        ]

    def cells(self) -> list[Cell]:
        """Every declared (task, model, method, decoding, seed), in table order."""
        return [
            Cell(task, model, checkpoint, decoding, seed)
            for task in self.config.tasks
            for model in self.models(task)
            for checkpoint, method in self.methods(task).items()
            for decoding in method.decodings
            for seed in self.seeds(task, checkpoint)
        ]

    def weights(self, task: str, model: str, checkpoint: str, seed: int | str) -> str:
        """Folder of a checkpoint's weights."""
        if self.checkpoints[checkpoint].parent is None:
            return paths.fill(paths.BASE, model=model)
        return paths.fill(
            paths.WEIGHTS, task=task, model=model, checkpoint=checkpoint, seed=seed
        )

    def passed(self, task: str, checkpoint: str) -> Pass | None:
        """The pass that a checkpoint's rows are mixed from. Equal passes have one name."""
        if (task, checkpoint) not in self._passed:
            self._passed[task, checkpoint] = self._pass_of(task, checkpoint)
        return self._passed[task, checkpoint]

    def _pass_of(self, task: str, checkpoint: str) -> Pass | None:
        reader = lineage.reader(self.checkpoints[checkpoint], self.checkpoints)
        method = reader and reader.method
        if not reader or not reader.parent or not isinstance(method, Trained):
            return None
        drawing = method.drawing(reader.round)
        if drawing is None:
            return None
        epochs, steps = self._epochs(task, method)[0], self._steps(task, reader)
        spec = PassSpec(
            **vars(drawing),
            seed=0,
            rows=epochs.rows,
            epochs=epochs.epochs,
            prompt=self.prompt(task),
            device=self.device(),
            step_rows=epochs.batch_size if steps or drawing.schedule else 0,
            steps=steps,
            backend=self._backend() if drawing.kind == "free" else "",
        )
        return Pass(lineage.name_of(spec), reader.parent, spec)

    def passes(self, task: str) -> dict[tuple[str, str], Pass]:
        """All passes of a task by (generator, name)."""
        own = self.methods(task)
        passes = [
            self.passed(task, name)
            for name, checkpoint in self.checkpoints.items()
            if checkpoint.declared in own
        ]
        return {(p.generator, p.name): p for p in passes if p}

    def pass_file(
        self, task: str, model: str, checkpoint: str, seed: int | str
    ) -> str | None:
        """The pass that a checkpoint's rows are mixed from."""
        passed = self.passed(task, checkpoint)
        if passed is None:
            return None
        return paths.fill(
            paths.PASSED,
            task=task,
            model=model,
            checkpoint=passed.generator,
            pass_=passed.name,
            seed=seed,
        )

    def answers_file(
        self, task: str, model: str, checkpoint: str, decoding: str, seed: int | str
    ) -> str:
        """A checkpoint's answers."""
        return paths.fill(
            paths.ANSWERS,
            task=task,
            model=model,
            checkpoint=checkpoint,
            decoding=decoding,
            seed=seed,
        )

    def gpus(self) -> int:
        """GPUs that a model's job asks for: none where the device is the CPU."""
        wanted = self.config.device == "cuda"
        if self.config.device == "auto":
            wanted = Path("/dev/nvidiactl").exists()
        return int(wanted)

    # Specs

    def model(self, model: str) -> ModelSpec:
        spec = sources.model(self.config.models[model])
        # The templates of random models are ours.
        asked = spec.kind != "random" and self._corrects(model)
        return replace(spec, corrections=asked)

    def _corrects(self, model: str) -> bool:
        """Whether a model is ever shown an answer and asked again."""
        tasks = [task for task in self.config.tasks if model in self.models(task)]
        methods = [m for task in tasks for m in self.methods(task).values()]
        asked = self.config.evaluation.benchmarks().values()
        return any(method.corrects for method in methods) or any(
            benchmark.two_turns and not set(tasks).isdisjoint(benchmark.tasks)
            for benchmark in asked
        )

    def check_models(self) -> None:
        """Raises UserError where a base model that is here already has no chat template for
        what it will be asked."""
        for name, section in self.config.models.items():
            if folder := self.sources.folder(section):
                with naming(f"config: models.{name}"):
                    tokenizer_of(self.model(name), folder, folder)

    def record_splits(self, task: str) -> tuple[str, ...]:
        """Splits that answers are read on; the headline split first."""
        if (self.config.tasks[task].split or self.config.evaluation.split) != "test":
            return ("validation",)
        splits = DATASETS[self.config.tasks[task].dataset].splits
        return tuple(sorted((x for x in splits if x.startswith("test")), reverse=True))

    def answered_splits(self, task: str, decoding: str) -> tuple[str, ...]:
        """Splits that answers of a decoding are of."""
        chosen_by = (paths.VALIDATION,)
        return chosen_by if decoding == paths.VALIDATION else self.record_splits(task)

    def records(self, task: str) -> RecordsSpec:
        t = self.config.tasks[task]
        last = [t.train_rows]
        for method in self.methods(task).values():
            if isinstance(method, Trained):
                last += (part.rows[1] for part in self._epochs(task, method))
        rows = {"train": max(last), "validation": t.validation_rows}
        for split in DATASETS[t.dataset].splits:
            rows.setdefault(split, t.test_rows)
        return RecordsSpec(
            task,
            t.dataset,
            rows,
            t.max_words,
            t.max_reference_words,
            t.templates,
            t.own_spec() if t.dataset == FILE else None,
        )

    def leakage(self, task: str) -> LeakageSpec:
        t = self.config.tasks[task]
        data, guard = DATASETS[t.dataset], self.config.leakage
        return LeakageSpec(
            guard.ngram,
            guard.share,
            t.leakage_limit,
            data.shared_templates,
            data.published,
        )

    def prompt(self, task: str, checkpoint: str | None = None) -> PromptSpec:
        """The texts of a task; a method may have a correction turn of its own."""
        t = self.config.tasks[task]
        dataset = DATASETS[t.dataset]
        method = self.checkpoints[checkpoint].method if checkpoint else None
        return PromptSpec(
            t.template or dataset.template,
            (method and method.correction_turn()) or t.correction,
            t.max_prompt_tokens,
            t.max_new_tokens,
            dataset.answer_prefix,
            dataset.cut_after,
            t.control_tokens,
        )

    def generation(self, task: str, checkpoint: str, pass_: str, seed: int) -> PassSpec:
        """Spec of a pass over the training records."""
        return replace(self.passes(task)[checkpoint, pass_].spec, seed=seed)

    def rows(self, task: str, checkpoint: str, seed: int) -> Rows:
        method = self.trained_method(checkpoint)
        stage = self.stage(task, method)
        name = method.pairs_from()
        pairs = self.config.preferences[name] if name else None
        first, *then = self._epochs(task, method)
        if pairs:
            first = replace(first, rows=(0, pairs.rows))
        return RowsSpec(
            **vars(first),
            then=tuple(then),
            seed=seed,
            prompt=pairs.prompt() if pairs else self.prompt(task, checkpoint),
            method=method.mixed(
                self.metric(task), self.column(task), self.config.tasks[task].dataset
            ),
            loss=stage.loss,
            steps=self._steps(task, self.checkpoints[checkpoint]),
        )

    def train(self, task: str, checkpoint: str, seed: int) -> TrainSpec:
        """Of a method whose rate is tuned, at the lowest of the grid."""
        method = self.trained_method(checkpoint)
        loss, stage = LOSSES[method.loss], self.stage(task, method)
        rate = self.checkpoints[checkpoint].rate or stage.rates[0]
        recipe = stage.model_copy(update={"learning_rate": rate})
        return TrainSpec(
            seed=seed,
            optimization=part(Optimization, recipe),
            device=self.device(),
            steps=self._steps(task, self.checkpoints[checkpoint]),
            loss=part(loss, method) if loss else None,
        )

    def trained_method(self, checkpoint: str) -> Trained:
        """The method of a checkpoint that is fine-tuned."""
        method = self.checkpoints[checkpoint].method
        if not isinstance(method, Trained):
            raise ValueError(f"{checkpoint} is not trained")
        return method

    def answers(
        self, task: str, checkpoint: str, decoding: str, seed: int
    ) -> AnswersSpec:
        d = self._decoding(task)
        return AnswersSpec(
            decoding="direct" if decoding == paths.VALIDATION else decoding,
            splits=self.answered_splits(task, decoding),
            prompt=self.prompt(task, checkpoint),
            sampling=Sampling(d.temperature, d.top_k, d.top_p),
            seed=seed,
            device=self.device(),
            backend=self._backend(),
        )

    def scores(self, task: str, decoding: str = "direct") -> ScoresSpec:
        splits = self.answered_splits(task, decoding)
        return ScoresSpec(scoring.names(self.config, task), splits)

    def metric(self, task: str) -> str:
        """The main metric of a task."""
        return scoring.main(self.config, task)[0]

    def column(self, task: str) -> str:
        """The column of a task's main metric that methods are compared by."""
        return scoring.main(self.config, task)[1]

    def device(self) -> Device:
        """Where models run."""
        return Device(self.config.device, self.config.precision)

    def _backend(self) -> str:
        own = self.config.generation.backend == "selfgen"
        return "" if own else self.config.generation.backend

    def stage(self, task: str, method: Trained) -> c.Stage:
        """The recipe by which a method trains on a task."""
        return self._recipe(task, method.stage)

    def _recipe(self, task: str, stage: str) -> c.Stage:
        own = self.config.tasks[task].stages.get(stage, stage)
        return self.config.stages[own]

    def rates(self, task: str, method: Method) -> tuple[float, ...]:
        """The grid that a method's learning rate is chosen from on a task; none where the
        configuration names one rate."""
        if not isinstance(method, Trained):
            return ()
        rates = self.stage(task, method).rates
        return rates if len(rates) > 1 else ()

    def _grids(self) -> dict[str, list[float]]:
        """The rates that are tried of each method, on any task."""
        tried: dict[str, set[float]] = {}
        for task in self.config.tasks:
            for name, method in self.methods(task).items():
                tried.setdefault(name, set()).update(self.rates(task, method))
        return {name: sorted(rates) for name, rates in tried.items()}

    def _joined(self, task: str, method: Trained) -> list[c.Stage]:
        """The stages whose rows a method trains on: its own, or those that it joins."""
        stage = self.stage(task, method)
        return [self._recipe(task, name) for name in stage.joins or ()] or [stage]

    def _epochs(self, task: str, method: Trained) -> list[Epochs]:
        """The training records of each stage whose rows a method trains on."""
        return lineage.records_of(
            method,
            self.methods(task),
            lambda trained: self._joined(task, trained),
            self.config.tasks[task].train_rows,
        )

    def _decoding(self, task: str) -> Decoding:
        return self.config.tasks[task].decoding or self.config.decoding

    def _steps(self, task: str, checkpoint: Checkpoint) -> Steps | None:
        if checkpoint.rounds == 1:
            return None
        method = self.trained_method(checkpoint.name)
        stage = self.stage(task, method)
        first, last = self._epochs(task, method)[0].rows
        return lineage.steps_of(checkpoint, last - first, stage)
