"""What the steps of judging read, and the tables of what was judged."""

from __future__ import annotations

from dataclasses import dataclass

from selfgen.core.spec import Device, Sampling
from selfgen.data.prompts import PromptSpec


@dataclass(frozen=True)
class EndpointSpec:
    """A judge model behind an OpenAI-compatible endpoint.

    Its address and key stand in the environment as ``{environment}_BASE_URL`` and
    ``{environment}_API_KEY``, and nowhere else. At most ``concurrency`` requests at a time
    and ``requests_per_minute`` (0: no limit), each with a ``timeout`` in seconds and
    ``retries``. Prices are dollars a million tokens; ``budget``: the most dollars that may
    be spent on the model in all.
    """

    model: str
    environment: str
    concurrency: int
    requests_per_minute: int
    timeout: float
    retries: int
    input_price: float
    output_price: float
    budget: float


@dataclass(frozen=True)
class ProxySpec:
    """A score that stands in for a judge, where there is none.

    ``kind``: ``similarity`` (cosine of sentence embeddings with what ``to`` names,
    ``reference`` or ``prompt``; the encoder is the folder ``member`` of a wheel) or
    ``likelihood`` (mean log-likelihood of a token under an untouched base model).
    """

    kind: str
    device: Device
    to: str = ""
    member: str = ""


@dataclass(frozen=True)
class PairsSpec:
    """Two answers to each prompt of ``split``, and who says which is better.

    ``orders``: ``random`` or ``both``; ``unparsable``: ``count`` or ``coin``; ``template``:
    what an endpoint is asked, or else ``constant``, its name in a fetched Python file;
    ``prompt``: the words around a record.
    """

    split: str
    seed: int
    prompt: PromptSpec
    endpoint: EndpointSpec | None = None
    proxy: ProxySpec | None = None
    orders: str = "random"
    unparsable: str = "count"
    template: str = ""
    constant: str = ""
    temperature: float = 0.0
    max_tokens: int = 256


@dataclass(frozen=True)
class GradedSpec:
    """Who grades the answers to a benchmark; ``generator``: what its answers are named."""

    endpoint: EndpointSpec
    generator: str = ""


@dataclass(frozen=True)
class InstructionsSpec:
    """Answers to the instructions of AlpacaEval."""

    prompt: PromptSpec
    sampling: Sampling
    seed: int
    device: Device
    batch_size: int


@dataclass(frozen=True)
class TwoTurnsSpec:
    """Answers to the two turns of MT-Bench's questions; temperatures are the categories'."""

    prompt: PromptSpec
    seed: int
    device: Device
    batch_size: int
