"""What the steps of judging read."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Device
from selfgen.core.types import Seed
from selfgen.data.prompts import PromptSpec


@dataclass(frozen=True)
class EndpointSpec:
    """A judge model behind an OpenAI-compatible endpoint, whose address and key stand in the
    environment as ``{environment}_BASE_URL`` and ``{environment}_API_KEY``, and nowhere
    else."""

    model: str
    environment: str


@dataclass(frozen=True)
class Limits:
    """How an endpoint is asked and what that may cost. Part of no spec, since it changes no
    reply.

    At most ``concurrency`` requests at a time and ``requests_per_minute`` (0: no limit), each
    with a ``timeout`` in seconds for the whole reply and ``retries``. Prices are dollars a
    million tokens; ``budget``: the most dollars that may be spent on the model in all.
    """

    concurrency: int
    requests_per_minute: int
    timeout: float
    retries: int
    input_price: float
    output_price: float
    budget: float


@dataclass(frozen=True)
class ComparisonSpec:
    """Two answers to each prompt of ``split``, and a judge that says which is better.

    ``orders``: ``random`` or ``both``; ``unparsable``: ``count`` or ``coin``; ``template``:
    what the judge is asked, or else ``constant``, its name in a fetched Python file.
    """

    split: str
    seed: Seed
    endpoint: EndpointSpec
    orders: str = "random"
    unparsable: str = "count"
    template: str = ""
    constant: str = ""
    temperature: float = 0.0
    max_tokens: int = 256


@dataclass(frozen=True)
class SimilaritySpec:
    """Two answers to each prompt of ``split``: the one whose sentence embedding has the
    larger cosine with what ``to`` names, ``reference`` or ``prompt``, wins, unless it is a
    tie (``core.ties``). The encoder is the folder ``member`` of a wheel."""

    split: str
    device: Device
    to: str
    member: str


@dataclass(frozen=True)
class LikelihoodSpec:
    """As ``SimilaritySpec``, but the answer with the larger mean log-likelihood of a token
    under an untouched base model wins; ``prompt``: the words around a record."""

    split: str
    device: Device
    prompt: PromptSpec


@dataclass(frozen=True)
class ConversationsSpec:
    """Answers to the prompts of a ``benchmark``; ``temperature`` where it sets none."""

    benchmark: str
    prompt: PromptSpec
    temperature: float
    seed: Seed
    device: Device


@dataclass(frozen=True)
class GradesSpec:
    """Who grades the answers to a ``benchmark``; ``generator`` is their model's name."""

    benchmark: str
    endpoint: EndpointSpec
    generator: str
