"""From declared methods to checkpoints, with the parent, the pass and the steps of each.

A method of several rounds has several checkpoints, ``bash.r1``, ``bash.r2``, ..., ``bash``,
each the generator of the next. One whose learning rate is tuned has one more for each rate of
the grid, ``bash.lr1e-05``, ... Pure functions of the configuration.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from selfgen.config import Stage
from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Steps, to_json
from selfgen.generation.spec import PassSpec
from selfgen.methods.base import Method, Trained
from selfgen.mixing.spec import Epochs


@dataclass(frozen=True)
class Checkpoint:
    """One model of a task: the part ``round`` of ``rounds`` of the method ``declared``.
    ``rate``: it is no result, but tells how good that learning rate is."""

    name: str
    declared: str
    method: Method
    parent: str | None
    round: int = 0
    rounds: int = 1
    rate: float | None = None


@dataclass(frozen=True)
class Pass:
    """A named generation over the training records of a task by the model of checkpoint
    ``generator``. ``spec``: under the seed 0."""

    name: str
    generator: str
    spec: PassSpec


def resolve(
    methods: dict[str, Method], grids: Mapping[str, Sequence[float]]
) -> dict[str, Checkpoint]:
    """All checkpoints by name, in the order of the methods. ``grids``: learning rates that
    are tried, by method. No method has the name of a round, or of a rate (``core.names``).
    """
    checkpoints: dict[str, Checkpoint] = {}
    for name, method in methods.items():
        parent, rounds = None, 1
        if isinstance(method, Trained):
            parent, rounds = method.parent, method.parts
        for rate in grids.get(name, ()):
            point = at_rate(name, rate)
            checkpoints[point] = Checkpoint(point, name, method, parent, rate=rate)
        for r in range(rounds):
            checkpoint = name if r == rounds - 1 else f"{name}.r{r + 1}"
            checkpoints[checkpoint] = Checkpoint(
                checkpoint, name, method, parent, r, rounds
            )
            parent = checkpoint
    return checkpoints


def at_rate(method: str, rate: float) -> str:
    """The checkpoint of a method that tells how good a learning rate is."""
    return f"{method}.lr{rate!r}"


def steps_of(checkpoint: Checkpoint, rows: int, stage: Stage) -> Steps | None:
    """The steps of a round; None where the checkpoint trains its whole stage.

    ``rows``: training records of an epoch.
    """
    if checkpoint.rounds == 1:
        return None
    total = stage.epochs * math.ceil(rows / stage.batch_size)
    if total < checkpoint.rounds:
        raise UserError(
            f"config: methods.{checkpoint.declared}.rounds: found {checkpoint.rounds},"
            f" allowed: at most {total}, the steps of the stage"
        )
    first, last = (
        total * r // checkpoint.rounds for r in (checkpoint.round, checkpoint.round + 1)
    )
    return Steps(first, last, total)


def records_of(
    method: Trained,
    methods: Mapping[str, Method],
    stages: Callable[[Trained], Sequence[Stage]],
    rows: int,
) -> list[Epochs]:
    """The training records of each stage whose rows a method trains on.

    ``stages``: these stages of a method; ``rows``: training records of a stage. The records
    are cut into parts of as many. A stage with ``fresh_rows`` reads the part behind those of
    the trainings before it, another one the first part.
    """
    parts = _parts(method, methods, stages)
    own = stages(method)
    found = []
    for part, stage in zip(parts[-len(own) :], own, strict=True):
        first = rows * max(0, part)
        found.append(
            Epochs(
                rows=(first, first + min(rows, stage.rows or rows)),
                epochs=stage.epochs,
                batch_size=stage.batch_size,
            )
        )
    return found


def _parts(
    method: Method | None,
    methods: Mapping[str, Method],
    stages: Callable[[Trained], Sequence[Stage]],
) -> list[int]:
    """The part that each training behind a method's weights reads, its own last; -1 where
    that reads no records."""
    if not isinstance(method, Trained):
        return []
    parts = _parts(methods.get(method.parent), methods, stages)
    for stage in stages(method):
        if method.pairs_from() or stage.dialogues:
            parts.append(-1)
        else:
            parts.append(1 + max([-1, *parts]) if stage.fresh_rows else 0)
    return parts


def reader(
    checkpoint: Checkpoint, checkpoints: dict[str, Checkpoint]
) -> Checkpoint | None:
    """Whose pass a checkpoint's rows are mixed from: its own, or that of the method that it
    is a control for. None: an untouched model."""
    if not isinstance(checkpoint.method, Trained):
        return None
    other = checkpoint.method.reads_pass_of()
    return reader(checkpoints[other], checkpoints) if other else checkpoint


def name_of(spec: PassSpec) -> str:
    """The name of a pass: how it draws, for people, and a digest of all that its spec says
    but the seed and where it runs, so that two passes that differ have two names."""
    same = replace(spec, seed=0, device=Device())
    digest = hashlib.sha256(to_json(same).encode()).hexdigest()[:8]
    rate = "" if spec.kind == "free" else f"-b{spec.beta:g}"
    return f"{spec.kind}{rate}-t{spec.sampling.temperature:g}-{digest}".replace("+", "")
