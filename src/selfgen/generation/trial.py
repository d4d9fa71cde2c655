"""Whether an engine decodes a model right: found by trying, as ``models.probe`` finds how its
rows are read.

Each engine fills a few ragged requests of noise, whose draws are replaced by what stands
fixed; the logits that it draws from are held against those of the model's plain ``forward``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from selfgen.core.spec import Sampling
from selfgen.generation.decoding import Request
from selfgen.generation.sampling import Sampler
from selfgen.generation.sequential import Sequential
from selfgen.generation.speculative import Speculative
from selfgen.models import probe
from selfgen.models.reader import Reader, plain_logits
from selfgen.models.verdicts import Verdicts

log = logging.getLogger(__name__)

PROMPTS, ANSWERS = (12, 9, 10, 14, 11), (2, 6, 4, 3, 5)
"""Tokens of each request. The prompts begin alike, long enough for an engine to notice."""

ALIKE, BATCH = 8, 4
"""Tokens with which all prompts begin; requests at a time, so that one comes later."""

WRONG = {0: 0, 2: 0, 4: 1}
"""Requests whose answer is given, and where its guess is wrong. The others, which take a
pass for each token, go on when these have left."""

FIXED = 2
"""An answer position that is not drawn."""

Engine = Callable[[Reader, Sampler], Sequential | Speculative]

verdicts = Verdicts(__name__)
_exact: dict[str, bool] = {}
"""Those that this process knows in fp32, whatever the device."""


@dataclass(frozen=True)
class Recorder(Sampler):
    """Draws what is given for a request's key and position, and keeps the logits."""

    truth: dict[tuple[int, int], int] = field(default_factory=dict)
    seen: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)

    def __call__(
        self,
        reader: Reader,
        states: torch.Tensor,
        keys: torch.Tensor,
        positions: torch.Tensor,
    ) -> torch.Tensor:
        addresses = list(zip(keys.tolist(), positions.tolist(), strict=True))
        self.seen.update(zip(addresses, reader.logits(states), strict=True))
        return torch.tensor([self.truth[a] for a in addresses], device=states.device)


def is_right(reader: Reader, name: str, engine: Engine) -> bool:
    """Does an engine decode the model as its plain ``forward``?

    ``verdicts`` keeps it for models alike, as ``probe.reader`` does; in half precision no
    engine is right that was wrong in fp32.
    """
    model = reader.model
    key, same = (of(model, reader.way, name) for of in (probe.key_of, probe.same_of))
    kept = verdicts.get(key)
    if kept is None:
        with probe.still(model), torch.inference_mode():
            kept = _try(reader, engine) if _exact.get(same, True) else (False, math.inf)
        verdicts.keep(key, kept)
    right, error = kept
    if not probe.is_half(model):
        _exact[same] = right
    said = "can be used" if right else "is not used"
    log.info(
        "%s: the %s engine %s (differs by %.0e)",
        probe.name_of(model),
        name,
        said,
        error,
    )
    return bool(right)


def _try(reader: Reader, engine: Engine) -> tuple[bool, float]:
    """Whether it is right, and the difference."""
    lengths = [p + a for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    vocabulary = probe.tokens_of(reader.model)
    rows = probe.noise(vocabulary, lengths, reader.device)
    for row in rows:
        row[:ALIKE] = rows[0][:ALIKE]
    expected = [plain_logits(reader.model, row) for row in rows]
    error = probe.tried(partial(_error, reader, rows, expected, engine))
    return error <= probe.tolerance(expected[0]), error


def _error(
    reader: Reader,
    rows: Sequence[torch.Tensor],
    expected: Sequence[torch.Tensor],
    engine: Engine,
) -> float:
    requests = [_request(n, row.tolist()) for n, row in enumerate(rows)]
    truth = {
        (n, t): int(row[PROMPTS[n] + t])
        for n, row in enumerate(rows)
        for t in range(ANSWERS[n])
    }
    recorder = Recorder(Sampling(0.0), truth=truth)
    answers = dict(engine(reader, recorder)(requests, BATCH))
    drawn = [(n, t) for n, request in enumerate(requests) for t in request.positions]
    if any(answers[n] != row[PROMPTS[n] :].tolist() for n, row in enumerate(rows)):
        return float("inf")
    return probe.difference(
        [recorder.seen[address] for address in drawn],
        [expected[n][PROMPTS[n] - 1 + t] for n, t in drawn],
    )


def _request(number: int, row: list[int]) -> Request:
    prompt, answer = row[: PROMPTS[number]], row[PROMPTS[number] :]
    if number not in WRONG:
        return Request(number, prompt, len(answer))
    given = list(answer)
    given[WRONG[number]] = prompt[0]
    drawn = [t for t in range(len(answer)) if t != FIXED]
    return Request(number, prompt, len(answer), given, drawn)
