"""JSON schemas of the configuration files, for editors that complete and check YAML.

They are made of the typed configuration, as the manual is, and lie beside the files. What one
key means for another (a parent that is there, say) only the loader checks.
"""

from __future__ import annotations

import json
from typing import Any

from selfgen.config import Config
from selfgen.config.synthetic import Synthetic
from selfgen.config.values import Values
from selfgen.core.types import Keys

SCHEMAS: dict[str, type[Keys]] = {
    "schema.json": Config,
    "synthetic.schema.json": Synthetic,
    "values.schema.json": Values,
}
"""File names in config/, and what each describes."""


BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}
"""Bounds that pydantic leaves under its own names where a validator runs first."""


def schema(name: str) -> str:
    """The text of one schema. No key is required at the top, nor of a task or a stage, since
    a file may go on top of another."""
    made = SCHEMAS[name].model_json_schema()
    for section in (made, *(made["$defs"].get(part, {}) for part in ("Task", "Stage"))):
        section.pop("required", None)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | _bounded(made)
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _bounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    if not isinstance(value, dict):
        return value
    number = value.get("type") == "number"
    return {BOUNDS.get(k, k) if number else k: _bounded(v) for k, v in value.items()}
