"""Whole dialogues of a file in JSON lines or Parquet, as token ids.

A row has ``messages``, a list of ``{role, content}``, as HuggingFaceH4/ultrachat_200k has it.
"""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError, naming
from selfgen.core.hashing import unit
from selfgen.data import tables
from selfgen.data.turns import ROLES, dialogue_ids


def read(path: Path, rows: int, tokenizer: Any) -> dict[str, array[int]]:
    """``rows`` dialogues by their number in the file, those of the lowest hash in its order.

    Arrays of 4 bytes a token: UltraChat has 286 million, which lists would hold in 10 GB.

    Raises UserError: no such file, a row that is no dialogue, or fewer rows.
    """
    count = sum(1 for _ in tables.read(path))
    if count < rows:
        raise UserError(f"{path}: found {count} dialogues, asked {rows}")
    names = map(str, range(count))
    order = sorted(names, key=lambda name: (unit(name, "pick"), name))[:rows]
    wanted, ids = set(order), {}
    for number, (where, row) in enumerate(tables.read(path)):
        if (name := str(number)) in wanted:
            messages = _messages(where, row)
            with naming(where):
                read = dialogue_ids(tokenizer, messages, opened=False)
            ids[name] = array("i", read)
    return {name: ids[name] for name in order}


def _messages(where: str, row: dict[str, Any]) -> list[dict[str, str]]:
    messages = row.get("messages")
    sound = isinstance(messages, list) and all(
        isinstance(turn, dict)
        and turn.get("role") in ROLES
        and isinstance(turn.get("content"), str)
        for turn in messages
    )
    if not messages or not sound:
        raise UserError(
            f"{where}: needed are messages, each with a role ({', '.join(ROLES)}) and a"
            " text as content"
        )
    return messages
