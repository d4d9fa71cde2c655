"""AlpacaEval 2.0 through its own package: annotation, raw and length-controlled win rate.

Prompts, order of the outputs, parser and length control are those of ``alpaca-eval``
(github tatsu-lab/alpaca_eval). Two of its parts are replaced: its client, which returns empty
completions after the last retry, by ours; and the download of ``df_gamed.csv`` while it
computes, by a file that was fetched before.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from selfgen.benchmarks.base import (
    Ask,
    Conversation,
    Files,
    Judged,
    Measure,
    Reply,
    Rows,
)
from selfgen.core.errors import UserError
from selfgen.core.types import Count, Number
from selfgen.data.pins import FileSpec

if TYPE_CHECKING:
    import pandas


ANNOTATOR = "weighted_alpaca_eval_gpt4_turbo"
"""The annotator of AlpacaEval 2.0."""

NAMES = {
    "win_rate": "win_rate",
    "standard_error": "standard_error",
    "discrete_win_rate": "discrete_win_rate",
    "length_controlled_winrate": "length_controlled",
    "lc_standard_error": "lc_standard_error",
}
"""Measures of the package, and what they are called here."""

Output = Mapping[str, Any]
"""``instruction``, ``output`` and ``generator``, as in the package's files."""


class AlpacaEval(Judged):
    """AlpacaEval 2.0: 805 instructions, against the outputs of GPT-4 turbo. Needs
    `pip install selfgen[judge]`."""

    title = "AlpacaEval 2.0"
    table_title = "AlpacaEval 2.0: wins against the baseline's outputs."
    measures = (
        Measure("controlled", "length_controlled", "LC win rate, %"),
        Measure("won", "win_rate", "Win rate, %"),
        Measure(
            "length",
            "length",
            "Length, characters",
            unit=1,
            digits=0,
            interval=False,
            graded=False,
        ),
    )
    note = (
        "Judge: {judge}. LC: length-controlled, as the package alpaca-eval fits it; — without"
        " its file `df_gamed.csv`."
    )
    missing = ("won", "Unparsable")
    file_keys = ("baseline", "gamed")
    answer_files = ("baseline",)
    sources: ClassVar = {
        "alpaca-eval-baseline": FileSpec(
            "https://raw.githubusercontent.com/tatsu-lab/alpaca_eval"
            "/cd543a149df89434d8a54582c0151c0b945c3d20/results/gpt4_1106_preview"
            "/model_outputs.json",
            "83db546b872ddebee8965fd05fa48461ee3c32bc695c62fb57f2d214ff741ec4",
        )
    }
    size, reply_tokens = 805, 1
    # Of the instructions and of a 7B model's outputs; the price that the package stored
    # with the judgments of those is of so many tokens.
    lengths, judged = (37, 238), (960, 1)

    baseline: str = Field(
        default="alpaca-eval-baseline",
        description="The baseline's outputs, by its name in `files`.",
    )
    gamed: str | None = Field(
        default=None,
        description="The package's `df_gamed.csv`, by its name in `files`: with it there"
        " is a length-controlled win rate.",
    )
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.7, description="Of the answers; 0 is greedy."
    )
    max_new_tokens: Count = Field(default=2048, description="Of an answer.")

    @staticmethod
    def conversations(files: Files) -> list[Conversation]:
        baseline = enumerate(_read(files["baseline"]))
        return [Conversation(str(i), (row["instruction"],)) for i, row in baseline]

    @staticmethod
    def grade(
        answers: Rows, files: Files, generator: str, ask: Ask
    ) -> tuple[Rows, dict[str, Any]]:
        """Rows ``{id, won, controlled, length}``: the probability of a win (None: the reply
        names neither), and the length-controlled one."""
        outputs = [
            {"instruction": r["prompt"], "output": r["answer"], "generator": generator}
            for r in answers
        ]
        annotations = annotate(outputs, _read(files["baseline"]), ask)
        facts = {"row": leaderboard_row(annotations, files.get("gamed"))}
        controlled = annotations.get("glm_preference")
        rows = [
            {
                "id": str(i),
                "won": None if preference != preference else preference - 1,
                "controlled": None if controlled is None else float(controlled[i]),
                "length": len(output),
            }
            for i, (preference, output) in enumerate(
                zip(annotations["preference"], annotations["output_2"], strict=True)
            )
        ]
        return rows, facts


BENCHMARK = AlpacaEval


def annotate(
    outputs: Sequence[Output], baseline: Sequence[Output], ask: Ask
) -> pandas.DataFrame:
    """The judge's preference between a model's outputs and the baseline's.

    Rows as the package makes them, in the order of ``baseline``, which is how the package
    finds an instruction's difficulty: ``instruction``,
    ``output_1`` (baseline), ``output_2``, ``preference`` from 1 (baseline) to 2 (model), NaN
    where the reply names neither.

    Raises UserError: instructions that are not those of the baseline; a judge that gives no
    log-probabilities, after one request, or of which no reply names one of the two; as
    ``ask``.
    """
    import pandas as pd

    _check(outputs, baseline)
    annotators = _package().annotators
    pool = annotators.PairwiseAnnotator(
        annotators_config=ANNOTATOR, is_avoid_reannotations=False, caching_path=None
    )
    settings = dict(pool.annotators[ANNOTATOR].completions_kwargs)
    settings.pop("model_name")
    chat = _package().utils.prompt_to_chatml
    asked: list[dict[str, Any]] = []

    def completions(prompts: Sequence[str], **_: Any) -> dict[str, list[Any]]:
        requests = [
            {"messages": chat(prompt.strip()), **settings} for prompt in prompts
        ]
        # One at first: what cannot be used is not paid for.
        replies = [*ask(requests[:1])]
        if replies and not _has_probabilities(replies[0]):
            raise UserError(
                "AlpacaEval: the judge gave no log-probabilities (logprobs, top_logprobs),"
                " which its preference is read from; needed is an endpoint that does"
            )
        replies += ask(requests[1:])
        asked.extend(requests)
        choices = [
            {
                "finish_reason": reply.finish_reason,
                "logprobs": reply.logprobs,
                "message": {"role": "assistant", "content": reply.text},
                "text": reply.text,
            }
            for reply in replies
        ]
        return {"completions": [c["text"] for c in choices], "completions_all": choices}

    pool.annotators[ANNOTATOR].fn_completions = completions
    sides = {"outputs_1": pd.DataFrame(baseline), "outputs_2": pd.DataFrame(outputs)}
    annotated = pd.DataFrame(pool.annotate_head2head(**sides, chunksize=None))
    annotated["preference"] = annotated["preference"].astype(float)
    # Equal outputs have a preference that no judge was asked for.
    if asked and annotated["preference"].isna().sum() >= len(asked):
        raise UserError(
            f"AlpacaEval: none of {len(asked)} replies of the judge names one of the two"
            " models"
        )
    order = {row["instruction"]: i for i, row in enumerate(baseline)}
    return annotated.sort_values(
        "instruction", key=lambda column: column.map(order), ignore_index=True
    )


def leaderboard_row(
    annotations: pandas.DataFrame, gamed: Path | None
) -> dict[str, float]:
    """The row of a leaderboard: ``win_rate``, ``length_controlled`` and their standard
    errors in per cent, ``length`` in characters, ``n`` instructions and how many were
    ``unparsable``.

    ``annotations`` gain a column ``glm_preference`` (0..1), the length-controlled one.
    ``gamed``: the package's ``df_gamed.csv``; without, nothing is length-controlled.
    """
    metrics = _package().metrics
    unparsable = int(annotations["preference"].isna().sum())
    if unparsable == len(annotations):
        raise UserError("AlpacaEval: no reply names one of the two models")
    # All rows, since the package finds difficulties by row number; it leaves out the NaN.
    if gamed is None:
        row = metrics.get_winrate(annotations)
    else:
        with _fetched(metrics.glm_winrate, gamed):
            row = metrics.get_length_controlled_winrate(
                annotations, save_weights_dir=None, is_warn_extreme_changes=False
            )
    return {
        **{ours: float(row[its]) for its, ours in NAMES.items() if its in row},
        "length": int(annotations["output_2"].str.len().mean()),
        "n": len(annotations),
        "unparsable": unparsable,
    }


def _has_probabilities(reply: Reply) -> bool:
    tokens = reply.logprobs.get("content") if isinstance(reply.logprobs, dict) else None
    return bool(
        tokens and isinstance(tokens[0], dict) and tokens[0].get("top_logprobs")
    )


def _read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))


def _check(outputs: Sequence[Output], baseline: Sequence[Output]) -> None:
    asked = [row["instruction"] for row in baseline]
    answered = [row["instruction"] for row in outputs]
    missing, foreign = set(asked) - set(answered), set(answered) - set(asked)
    doubled = len(answered) - len(set(answered))
    if missing or foreign or doubled:
        raise UserError(
            f"AlpacaEval: {len(missing)} instructions of the baseline without an output,"
            f" {len(foreign)} foreign, {doubled} doubled"
        )


def _package() -> Any:
    """``alpaca_eval`` with the parts that are used, and its chatter in our log only where
    something is wrong (it sets the level of the root logger)."""
    try:
        root = logging.getLogger().level
        import alpaca_eval
        import alpaca_eval.annotators
        import alpaca_eval.metrics.glm_winrate
        import alpaca_eval.utils

        logging.getLogger().setLevel(root)
    except ImportError as error:
        raise UserError(
            f"AlpacaEval: cannot import {error.name}; pip install 'selfgen[judge]'"
        ) from None
    return alpaca_eval


@contextmanager
def _fetched(glm: Any, gamed: Path) -> Iterator[None]:
    """The package asks its hub for one file while it computes: it is given ours."""
    if not gamed.is_file():
        raise UserError(f"AlpacaEval: found no file {gamed}")
    download = glm.hf_hub_download
    glm.hf_hub_download = lambda **_: str(gamed)
    try:
        yield
    finally:
        glm.hf_hub_download = download
