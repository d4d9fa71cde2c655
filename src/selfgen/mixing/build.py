"""From records and a pass to the rows of a node, in training order."""

from __future__ import annotations

from typing import Any

from selfgen.data.prompts import answer_ids, correction_ids, prompt_ids
from selfgen.mixing import rows as mix
from selfgen.mixing.order import plan_steps
from selfgen.specs import RowsSpec, UserError

PASS_KEYS = {"plain": None, "bash": "tokens", "rac": "text"}
"""The column of a pass that each mix reads."""


def training_records(
    records: list[dict[str, Any]], rows: tuple[int, int]
) -> list[dict[str, Any]]:
    """The slice of training records, in file order, that a stage trains on."""
    found = [record for record in records if record["split"] == "train"]
    if len(found) < rows[1]:
        raise UserError(
            f"records: found {len(found)} training records, rows {rows[0]} to {rows[1]}"
            " are asked for"
        )
    return found[rows[0] : rows[1]]


def build(
    records: list[dict[str, Any]],
    passes: list[dict[str, Any]],
    spec: RowsSpec,
    tokenizer: Any,
) -> list[dict[str, Any]]:
    """Rows ``{step, id, epoch, input_ids, labels, attention_mask}`` in training order.

    Raises UserError when the pass misses, doubles or invents an (id, epoch).
    """
    examples = training_records(records, spec.rows)
    prompts = [prompt_ids(tokenizer, spec.prompt, e["prompt"]) for e in examples]
    answers = [answer_ids(tokenizer, spec.prompt, e["reference"]) for e in examples]
    ids = [example["id"] for example in examples]
    passed = _by_address(passes, ids, spec) if PASS_KEYS[spec.mix] else {}
    steps = plan_steps(
        ids,
        [len(p) + len(a) for p, a in zip(prompts, answers, strict=True)],
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        seed=spec.seed,
    )
    built = []
    for number, step in enumerate(steps):
        for i, epoch in step:
            if spec.mix == "bash":
                tokens = passed[ids[i], epoch]["tokens"]
                fields = mix.bash(prompts[i], answers[i], tokens)
            elif spec.mix == "rac" and mix.is_correction(
                spec.seed, ids[i], epoch, spec.correction_share
            ):
                draft = passed[ids[i], epoch]["text"]
                context = correction_ids(
                    tokenizer, spec.prompt, examples[i]["prompt"], draft
                )
                fields = mix.rac(context, answers[i])
            else:
                fields = mix.plain(prompts[i], answers[i])
            built.append({"step": number, "id": ids[i], "epoch": epoch, **fields})
    return built


def _by_address(
    passes: list[dict[str, Any]], ids: list[str], spec: RowsSpec
) -> dict[tuple[str, int], dict[str, Any]]:
    found = [(row["id"], row["epoch"]) for row in passes]
    expected = {(i, epoch) for i in ids for epoch in range(spec.epochs)}
    doubled = len(found) - len(set(found))
    missing, foreign = expected - set(found), set(found) - expected
    if doubled or missing or foreign:
        names = sorted(f"{i} (epoch {e})" for i, e in missing | foreign)[:3]
        raise UserError(
            f"pass: {len(missing)} rows missing, {len(foreign)} foreign, {doubled} doubled"
            + (f": {', '.join(names)}" if names else "")
        )
    return dict(zip(found, passes, strict=True))
