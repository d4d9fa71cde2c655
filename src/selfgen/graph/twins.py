"""Which methods differ in one thing, and so are compared directly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from selfgen.methods.base import Trained
from selfgen.methods.bash import Bash
from selfgen.mixing.schedules import MixingRate


def pairs(
    trained: Mapping[str, Trained], baseline: str | None = None
) -> Iterator[tuple[str, str]]:
    """BASH against its random-token control, and against plain SFT for its time; every method
    against plain SFT from the same weights over the same steps, but for ``baseline``, with
    which others are compared anyway; what is BASH but for a knob, a reading, or when its
    tokens are drawn, against BASH."""
    for name, method in trained.items():
        if other := method.reads_pass_of() or method.takes_time_of():
            yield other, name
    for name, method in trained.items():
        for other, plain in trained.items():
            is_twin = plain.plain and not method.plain and other != baseline
            if is_twin and all(
                getattr(method, field) == getattr(plain, field)
                for field in ("parent", "stage", "parts")
            ):
                yield name, other
            if _turned(method, plain) or _relabelled(method, plain):
                yield name, other


def _turned(method: Trained, other: Trained) -> bool:
    """Whether a method is another one, plain BASH, with some knob turned but beta."""
    return (
        other.only_beta is not None
        and method.only_beta is None
        and isinstance(method, MixingRate)
        and (method.beta, method.parent, method.stage)
        == (other.only_beta, other.parent, other.stage)
    )


def _relabelled(method: Trained, other: Trained) -> bool:
    """Whether a method is BASH as another one is, but for which labels are asked for."""
    plain = {"label": other.label, "loss_on": "all", "labels": "reference"}
    return (
        isinstance(method, Bash)
        and method != other
        and method.model_copy(update=plain) == other
    )
