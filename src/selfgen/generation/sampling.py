"""The draw of a token, wherever a model chooses one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from selfgen.core.rng import gumbel
from selfgen.core.spec import Sampling
from selfgen.models.reader import Reader


class NoNumber(Exception):
    """Logits of which no token can be drawn: of request ``key``, at answer ``position``."""

    def __init__(self, key: int, position: int) -> None:
        super().__init__(key, position)
        self.key, self.position = key, position


@dataclass(frozen=True)
class Sampler:
    """Draws tokens at their addresses; ``banned`` token ids are never drawn."""

    sampling: Sampling
    banned: Sequence[int] = ()

    def __call__(
        self,
        reader: Reader,
        states: torch.Tensor,
        keys: torch.Tensor,
        positions: torch.Tensor,
    ) -> torch.Tensor:
        """Token ids [n] after ``states`` [n, size], for request ``keys`` and answer
        ``positions`` [n]. The vocabulary is projected to a few states at a time."""
        size = max(1, (2**26 if states.is_cuda else 2**22) // reader.vocabulary)
        parts = [
            self.choose(
                reader.logits(part), keys[i : i + size], positions[i : i + size]
            )
            for i, part in zip(
                range(0, len(states), size), states.split(size), strict=True
            )
        ]
        return torch.cat(parts)

    def choose(
        self, logits: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """Token ids [n] for ``logits`` [n, vocabulary], which may be overwritten.

        Raises NoNumber: logits that are none, or nothing that may be drawn.
        """
        scores = logits.float()
        banned = [token for token in self.banned if token < scores.shape[-1]]
        scores[:, banned] = -torch.inf
        if self.sampling.temperature > 0:
            scores /= self.sampling.temperature
            scores = truncate(scores, self.sampling)
            scores += gumbel(keys, positions, scores.shape[-1])
        tokens = scores.argmax(-1)
        sound = torch.isfinite(scores.gather(-1, tokens[:, None])[:, 0])
        if not sound.all():
            first = int((~sound).int().argmax())
            raise NoNumber(int(keys[first]), int(positions[first]))
        return tokens


def truncate(scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Scores [n, vocabulary] outside the ``top_k`` and ``top_p`` sets become -inf."""
    if sampling.top_k:
        least = scores.topk(min(sampling.top_k, scores.shape[-1])).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = scores.sort(descending=True)
        mass = ordered.softmax(-1).cumsum(-1)
        outside = (mass - ordered.softmax(-1)) >= sampling.top_p
        scores = scores.masked_fill(outside.scatter(-1, order, outside), -torch.inf)
    return scores
