"""Steps of the workflow as processes, called as the rules call them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfgen.core.spec import to_json


def command(
    name: str,
    spec: Any,
    inputs: Mapping[str, Path | str],
    outputs: Mapping[str, Path | str],
    **settings: object,
) -> list[str]:
    """The command of a step. ``threads`` and ``gpus`` are arguments, other settings run
    knobs."""
    found = [sys.executable, "-m", "selfgen", "step", name, "--spec"]
    found.append(spec if isinstance(spec, str) else to_json(spec))
    for kind, files in (("input", inputs), ("output", outputs)):
        found += [f"--{kind}={key}={path}" for key, path in files.items()]
    for key, value in settings.items():
        plain = key in ("threads", "gpus")
        found.append(f"--{key}={value}" if plain else f"--set={key}={value}")
    return found


def training(spec: Any, given: Path, out: Path, **settings: object) -> list[str]:
    """The command that fine-tunes ``base`` on ``rows.parquet``, both in the folder
    ``given``, into the folder ``out``."""
    return command(
        "finetune",
        spec,
        {"rows": given / "rows.parquet", "weights": given / "base"},
        {
            "weights": out / "weights",
            "curve": out / "curve.jsonl",
            "manifest": out / "manifest.json",
        },
        **settings,
    )
