"""Specs: what a step reads, one small frozen dataclass a step, and its canonical JSON.

A spec travels as canonical JSON: it is a rule's parameter in the workflow, an argument of the
command line and an entry of the manifest beside the output. A step reruns when its spec
changes, so a spec never holds a key that its step does not read.
"""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from selfgen.core.errors import UserError
from selfgen.core.types import CountOrZero, one_of, refusal

Spec = TypeVar("Spec")


class Checked:
    """A frozen dataclass that refuses values which the configuration would refuse."""

    def __post_init__(self) -> None:
        """Raises UserError: a value that its field does not take."""
        for name, kind in _kinds(type(self)).items():
            value = getattr(self, name)
            try:
                taken = _adapter(kind).validate_python(value)
                object.__setattr__(self, name, taken)
            except ValidationError as error:
                raise refusal(f"{type(self).__name__}.{name}", error) from None


_KINDS: dict[Any, dict[str, Any]] = {}


def _kinds(cls: Any) -> dict[str, Any]:
    """The types of the fields of a dataclass."""
    if cls not in _KINDS:
        kinds = typing.get_type_hints(cls, include_extras=True)
        own = {field.name: kinds[field.name] for field in fields(cls)}
        _KINDS[cls] = {n: k for n, k in own.items() if not isinstance(k, TypeVar)}
    return _KINDS[cls]


def instance(where: str, value: Any, kind: type) -> None:
    """Raises UserError unless a value is of a kind."""
    if not isinstance(value, kind):
        raise UserError(f"{where}: found {value!r:.60}, allowed: a {kind.__name__}")


def at_least(name: str, number: Any, least: int) -> None:
    """Raises UserError unless a number is whole and not less than that."""
    if not isinstance(number, int) or number < least:
        raise UserError(f"{name}: found {number!r}, allowed: {least} or more")


def existing_folder(where: str, value: Any) -> Path:
    """A path; raises UserError, which says ``where``, unless a folder is there."""
    if not isinstance(value, str | Path) or not Path(value).is_dir():
        raise UserError(f"{where}: found {value!s:.60}, allowed: a folder that is here")
    return Path(value)


def _divides(temperature: float) -> float:
    """Logits over a temperature beyond these may be infinite, or no numbers."""
    if temperature and not 1e-30 <= temperature <= 1e30:
        raise ValueError("allowed: 0, or 1e-30 to 1e+30")
    return temperature


@dataclass(frozen=True)
class Sampling(Checked):
    """How a token is chosen: ``temperature`` 0 is greedy, ``top_k`` 0 and ``top_p`` 1 off."""

    temperature: Annotated[
        float, Field(ge=0, allow_inf_nan=False), AfterValidator(_divides)
    ] = 0.0
    top_k: CountOrZero = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0


@dataclass(frozen=True)
class Device(Checked):
    """Where and how exactly to compute; ``auto`` takes the best the machine has."""

    device: Annotated[str, one_of("auto", "cpu", "cuda", "mps")] = "auto"
    precision: Annotated[str, one_of("auto", "fp32", "bf16")] = "auto"


@dataclass(frozen=True)
class Steps(Checked):
    """The optimiser steps ``first`` to ``last`` (exclusive) of a stage of ``total`` steps.

    A round takes a part of its stage's steps; the learning rate follows the whole stage.
    """

    first: CountOrZero
    last: CountOrZero
    total: CountOrZero


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
"""By type: one takes a hundred times as long to make as to use."""


def _adapter(cls: Any) -> TypeAdapter[Any]:
    if cls not in _ADAPTERS:
        _ADAPTERS[cls] = TypeAdapter(cls)
    return _ADAPTERS[cls]


def to_json(spec: Any) -> str:
    """Canonical JSON of a spec: sorted keys, no spaces; the same text for equal specs."""
    value = _written(_adapter(type(spec)).dump_python(spec, mode="json"))
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def from_json(cls: type[Spec], text: str) -> Spec:
    """The spec that ``to_json`` wrote.

    Raises UserError: not the JSON of such a spec, or a key that it does not have.
    """
    name = getattr(cls, "__name__", str(cls))
    try:
        spec = _adapter(cls).validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the whole"
        raise UserError(f"--spec: not a {name}: {where}: {problem['msg']}") from None
    known = _adapter(cls).dump_python(spec, mode="json")
    if unknown := _unknown(json.loads(text), known):
        raise UserError(f"--spec: not a {name}: unknown key {unknown}")
    return spec


def _unknown(given: Any, known: Any) -> str | None:
    """The first key that is given and not known; dataclasses pass over such keys."""
    if isinstance(given, list) and isinstance(known, list):
        pairs = zip(given, known, strict=True)
        return next(filter(None, (_unknown(a, b) for a, b in pairs)), None)
    if not isinstance(given, dict):
        return None
    for key, value in given.items():
        if key not in known:
            return key
        if unknown := _unknown(value, known[key]):
            return f"{key}.{unknown}"
    return None


LATER: dict[str, Any] = {
    "backend": "",
    "control_tokens": False,
    "correction_rows": "replace",
    "corrections": False,
    "hint": None,
    "label_smoothing": 0.0,
    "labels": "reference",
    "loss_mean": "token",
    "loss_on": "all",
    "own_rows": None,
    "then": [],
    "tokens": "unigram",
}
"""Keys that came after results had been made, with what those were made with. That is not
written, so that they are still of today's specs."""


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in LATER or v != LATER[k]}
        return {k: _written(v) for k, v in kept.items()}
    return [_written(item) for item in value] if isinstance(value, list) else value
