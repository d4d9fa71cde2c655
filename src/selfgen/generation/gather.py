"""One file of answers or of a pass, from the parts that several jobs made of its plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.rows import each_row, write_rows
from selfgen.generation.spec import AnswersSpec, PassSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Part = TypeVar("Part")

SUMS = (
    *("generated_tokens", "drawn_tokens", "changed_tokens", "generation_seconds"),
    *("drafts", "right_drafts", "passes", "forwarded_tokens", "projected_tokens"),
)
"""Facts of a manifest that are sums over its parts."""

NOT_FACTS = (
    "rule",
    "spec",
    "inputs",
    "code",
    "python",
    "packages",
    "machine",
    "outputs",
)


def step(spec: AnswersSpec | PassSpec, job: Job) -> dict[str, Any]:
    """The rows of all parts, in the order of the plan.

    Raises UserError: parts of other batches, as a killed run leaves them that had another
    batch size. Rows would be missing, or be there twice.
    """
    (name,) = (name for name in job.outputs if name != "manifest")
    made = [manifests.read(path) for path in job.paths("manifests")]
    sizes = sorted({manifest["run"]["batch_size"] for manifest in made})
    if len(sizes) > 1:
        raise UserError(
            f"{job.paths('parts')[0].parent}: found parts of batches of"
            f" {' and '.join(map(str, sizes))}, allowed: of one size; delete this folder and"
            " run again"
        )
    parts = map(each_row, job.paths("parts"))
    write_rows(job.output(name), in_plan_order(parts, sizes[0]))
    return merged(made)


def in_plan_order(shards: Iterable[Iterable[Part]], size: int) -> Iterator[Part]:
    """What was made of the rows of all shards, in the order of one; ``size``: of the batches
    that ``decoding.of_shard`` dealt."""
    parts = [iter(part) for part in shards]
    while batches := [one for part in parts for one in islice(part, size)]:
        yield from batches
        parts.reverse()


def merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The facts of the whole: sums, the most memory, and the time from the first start to
    the last end; of what parts differ in, all values."""
    facts: dict[str, Any] = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        values = [part[name] for part in parts if name in part]
        if name in NOT_FACTS:
            continue
        if name in SUMS:
            facts[name] = round(sum(values), 2)
        elif name == "peak_memory_mb":
            facts[name] = max((v for v in values if v is not None), default=None)
        else:
            same = all(value == values[0] for value in values)
            facts[name] = values[0] if same else values
    ends = [part["started_at"] + part["wall_seconds"] for part in parts]
    facts["started_at"] = min(part["started_at"] for part in parts)
    facts["wall_seconds"] = round(max(ends) - facts["started_at"], 2)
    return facts
