"""What the step of training rows reads."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Steps
from selfgen.data.prompts import PromptSpec


@dataclass(frozen=True)
class RowsSpec:
    """How records and passes become training rows, in training order.

    ``steps``: a part of the stage's steps (a round). ``wall``: as many steps as fit into
    another method's time. ``rac``: share of correction rows, whether their draft is of
    ``full`` or ``random`` length, and their ``own`` or that of ``another`` example.
    ``dpo``: answers of an example, and the metric and its ``column`` that grade them.
    ``pairs``: most tokens of prompt and answer together. ``custom``: the function, and the
    pass that it ``reads``. ``loss``: of the ``answers``, or of the prompts too (``all``).
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
    column: str = ""
    max_tokens: int = 0
    wall: bool = False
    function: str = ""
    reads: str = ""
    loss: str = "answers"
    steps: Steps | None = None
