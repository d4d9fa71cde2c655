"""From declared methods to checkpoints, with the parent, the pass and the steps of each.

A method of several rounds has several checkpoints, ``bash.r1``, ``bash.r2``, ..., ``bash``,
each the generator of the next. Pure functions of the configuration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from selfgen import config as c
from selfgen.config import methods as m
from selfgen.core.errors import UserError
from selfgen.core.spec import Steps
from selfgen.mixing.schedules import Schedule, rate


@dataclass(frozen=True)
class Checkpoint:
    """One model of a task: the part ``round`` of ``rounds`` of the method ``declared``."""

    name: str
    declared: str
    method: m.Method
    parent: str | None
    round: int = 0
    rounds: int = 1


@dataclass(frozen=True)
class Pass:
    """A named generation over training records by the model of checkpoint ``generator``.

    ``checkpoint``: a checkpoint whose rows are mixed from it; several may be.
    """

    name: str
    generator: str
    kind: str
    checkpoint: Checkpoint


def resolve(methods: dict[str, m.Method]) -> dict[str, Checkpoint]:
    """All checkpoints by name, in the order of the methods.

    Raises UserError: a name twice.
    """
    checkpoints: dict[str, Checkpoint] = {}
    for name, method in methods.items():
        rounds = getattr(method, "rounds", 1)
        parent = getattr(method, "parent", None)
        for r in range(rounds):
            checkpoint = name if r == rounds - 1 else f"{name}.r{r + 1}"
            if checkpoint != name and checkpoint in methods:
                raise UserError(
                    f"config: methods.{checkpoint}: this is the name of a round of {name}"
                )
            checkpoints[checkpoint] = Checkpoint(
                checkpoint, name, method, parent, r, rounds
            )
            parent = checkpoint
    return checkpoints


def steps_of(checkpoint: Checkpoint, rows: int, stage: c.Stage) -> Steps | None:
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


def beta_of(checkpoint: Checkpoint) -> float:
    """The most that the mixing rate of a checkpoint may be."""
    method = checkpoint.method
    beta = getattr(method, "beta", 0.0)
    schedule = getattr(method, "schedule", None)
    if schedule and schedule.over == "rounds":
        return rate(_schedule(schedule), beta, checkpoint.round)
    return beta


def moving(checkpoint: Checkpoint) -> Schedule | None:
    """The schedule that moves the rate within a checkpoint's steps, if any."""
    schedule = getattr(checkpoint.method, "schedule", None)
    return _schedule(schedule) if schedule and schedule.over == "steps" else None


def _schedule(schedule: m.Schedule) -> Schedule:
    return Schedule(schedule.kind, schedule.k, schedule.c)


def passed(checkpoint: Checkpoint, checkpoints: dict[str, Checkpoint]) -> Pass | None:
    """The pass that a checkpoint's rows are mixed from. Equal passes have equal names."""
    method = checkpoint.method
    if isinstance(method, m.Random):
        return passed(checkpoints[method.like], checkpoints)
    kind = _kind(method)
    if kind is None:
        return None
    name = f"{kind}-"
    if kind != "free":
        name += f"b{beta_of(checkpoint):.15g}-"
    # 15 digits: values that differ must not share a name, and 0.1 stays 0.1.
    name += f"t{method.temperature:.15g}"
    name += f"-k{method.top_k}" if method.top_k else ""
    name += f"-p{method.top_p:.15g}" if method.top_p < 1 else ""
    if isinstance(method, m.Bash):
        name += "-eos" if method.eos == "keep" else ""
        name += f"-span{method.span}" if method.span > 1 else ""
        name += f"-plain{method.plain_share:.15g}" if method.plain_share else ""
        if moves := moving(checkpoint):
            name += f"-{moves.kind}-k{moves.k:.15g}-c{moves.c:.15g}"
    if isinstance(method, m.Dpo):
        name += f"-x{method.candidates}"
    name += "-fresh" if method.rows == "fresh" else ""
    name += f"-{method.stage}"
    if checkpoint.rounds > 1:
        name += f"-r{checkpoint.round + 1}of{checkpoint.rounds}"
    return Pass(name, checkpoint.parent, kind, checkpoint)


def _kind(method: m.Method) -> str | None:
    if isinstance(method, m.Bash):
        return {"exact": "forced", "onepass": "onepass"}[method.draw]
    if isinstance(method, m.Custom):
        return None if method.reads == "nothing" else method.reads
    return "free" if isinstance(method, m.Rac | m.Spin | m.Dpo) else None
