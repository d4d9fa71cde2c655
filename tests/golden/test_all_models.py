"""``docs/models.md``: how every causal LM class of transformers is read, or why not.

``python -m tests.golden.test_all_models > docs/models.md`` writes it anew.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as NAMES,
)

from selfgen.core.errors import UserError
from selfgen.core.spec import Sampling
from selfgen.generation import engines, trial
from selfgen.generation.decoding import Request
from selfgen.generation.sampling import Sampler
from selfgen.models import probe
from selfgen.models.reader import plain_logits
from selfgen.training.batches import collate
from selfgen.training.labels import LabelLoss
from tests.families import build
from tests.golden.test_families import BANNED, EOS, greedy, rows

PAGE = Path(__file__).parents[2] / "docs" / "models.md"

TITLE = f"""\
# Models

<!-- Written by `python -m tests.golden.test_all_models`, which a test holds it against. -->

How selfgen reads the causal LM classes of transformers {transformers.__version__}: found by a
probe when a model is loaded ([method.md](method.md#any-causal-language-model)), and checked
here with random weights against the model's own `forward`, row by row and without a cache:
greedy answers, mixed rows, loss.

- **flat**: many rows as one sequence without padding; **padded**: rows padded on the right;
  **whole**: row by row.
- **speculative**: only drawn positions cost a pass; **sequential**: one pass a token, with
  the model's cache; **alone**: the same, one row at a time; **uncached**: every draw reads
  its row again.
"""

WAYS = {
    "uncached": "Right, and slow: no cache of theirs is used",
    "alone": "Right, one row at a time",
    "sequential": "Right, one pass a token",
    "speculative": "Right and fast",
}


def judged(kind: str) -> tuple[str, str]:
    """How a class is read and decoded: ``(rows, engine)``; or ``("refused", why)``, or
    ``("not built", why)``.

    Raises AssertionError where it is read wrong.
    """
    try:
        model = build(kind)
    except Exception as error:  # whatever its class or its configuration raises
        return "not built", " ".join(str(error).split()).split(". ")[0]
    try:
        reader = probe.reader(model)
        name = decoded(model)
        trained(model)
    except UserError as error:
        said = str(error).removeprefix("model: ").split("; allowed")[0]
        return "refused", re.sub(r" by \S+ of their size", "", said)
    return reader.way, name


def decoded(model: Any) -> str:
    prompts = [row[:6] for row in rows()[:3]]
    given = [row[:5] for row in rows(4)[:3]]
    asked = [Request(i, p, 5, stops=frozenset({EOS})) for i, p in enumerate(prompts)]
    asked += [
        Request(9 + i, p, len(given[i]), given[i], [1, 3])
        for i, p in enumerate(prompts)
    ]
    wanted = [greedy(model, p, [3] * 5, set(range(5)), EOS) for p in prompts]
    wanted += [greedy(model, p, given[i], {1, 3}) for i, p in enumerate(prompts)]
    engine = engines.make("auto", model, Sampler(Sampling(), BANNED), asked, 4)
    filled = dict(engines.fill(engine, asked, 4))
    assert [filled[i] for i in range(6)] == wanted
    return type(engine).__name__.lower()


def trained(model: Any) -> None:
    ids = [torch.tensor(row) for row in rows()]
    given = [
        {"id": str(i), "input_ids": row.tolist(), "labels": [-100, *row[1:].tolist()]}
        for i, row in enumerate(ids)
    ]
    loss = LabelLoss(model)
    found = loss(**collate(given, "cpu"))
    wanted = sum(
        cross_entropy(plain_logits(model, row)[:-1], row[1:], reduction="sum")
        for row in ids
        if len(row) > 1
    )
    assert math.isclose(float(found), float(wanted), rel_tol=1e-4)


def page() -> str:
    found = {kind: judged(kind) for kind in sorted(NAMES)}
    return "\n".join([TITLE, *_sections(found)])


def _sections(found: dict[str, tuple[str, str]]) -> Iterator[str]:
    for name, title in reversed(WAYS.items()):
        kinds = {k: way for k, (way, engine) in found.items() if engine == name}
        yield f"## {title} ({len(kinds)})\n"
        yield "| Model types | Rows | Decoding |\n| :-- | :-- | :-- |"
        for way in dict.fromkeys(sorted(kinds.values())):
            names = ", ".join(f"`{k}`" for k, own in kinds.items() if own == way)
            yield f"| {names} | {way} | {name} |"
        yield ""
    refused = {k: why for k, (way, why) in found.items() if way == "refused"}
    yield f"## Refused ({len(refused)})\n\n| Model type | In one line |\n| :-- | :-- |"
    yield from (f"| `{kind}` | {why} |" for kind, why in refused.items())
    left = {k: why for k, (way, why) in found.items() if way == "not built"}
    yield f"\n## Not built ({len(left)})\n"
    yield "transformers does not build these from their own configurations, and says why.\n"
    yield "| Model type | What transformers says |\n| :-- | :-- |"
    yield from (f"| `{kind}` | {why} |" for kind, why in left.items())
    yield ""


@pytest.mark.slow
def test_the_page_shows_how_every_class_is_read() -> None:
    for known in (trial.verdicts, trial._exact, probe.verdicts, probe._exact):
        known.clear()
    assert page() == PAGE.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(page(), end="")
