"""Which JSON file of a model's folder cannot be read, where its reader does not say it."""

from __future__ import annotations

import json
from pathlib import Path

from selfgen.core.errors import UserError


def refuse_adapter(folder: Path | str) -> None:
    """Raises UserError where a folder holds adapters: transformers would look for the model
    that they belong to elsewhere, and take that in the place of weights that lie beside them.
    """
    path = Path(folder, "adapter_config.json")
    if not path.is_file():
        return
    try:
        base = json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        base = None
    of = f" of {base}" if isinstance(base, str) else ""
    raise UserError(
        f"{folder}: found adapters{of} ({path.name}), allowed: a whole model; merge them:"
        " load them with peft's AutoPeftModelForCausalLM, then"
        " merge_and_unload().save_pretrained() and the tokenizer's save_pretrained() to"
        " another folder"
    )


def refuse_damaged(folder: Path | str) -> None:
    """Raises UserError: the first JSON file of a folder that is none, or a configuration
    or tokenizer that holds no keys."""
    for path in sorted(Path(folder).glob("*.json")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError as error:  # of JSON, and of UTF-8
            said = " ".join(str(error).split())[:200]
            raise UserError(f"{path}: is no JSON in UTF-8: {said}") from None
        # Others, such as those of sentence encoders, may be lists.
        keyed = path.name.endswith("config.json") or path.name == "tokenizer.json"
        if keyed and not isinstance(found, dict):
            raise UserError(
                f"{path}: found {str(found)[:40]!r}, allowed: keys and values"
            )
