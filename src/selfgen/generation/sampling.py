"""The draw of a token, wherever a model chooses one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch

from selfgen.core.rng import gumbel
from selfgen.core.spec import Sampling


@dataclass(frozen=True)
class Sampler:
    """Draws tokens at their addresses; ``banned`` token ids are never drawn."""

    sampling: Sampling
    banned: Sequence[int] = ()

    def __call__(
        self,
        head: torch.nn.Module,
        states: torch.Tensor,
        keys: torch.Tensor,
        positions: torch.Tensor,
    ) -> torch.Tensor:
        """Token ids [n] after ``states`` [n, size], for request ``keys`` and answer
        ``positions`` [n]. The vocabulary is projected to a few states at a time."""
        vocabulary = len(cast(torch.Tensor, head.weight))
        size = max(1, (2**26 if states.is_cuda else 2**22) // vocabulary)
        parts = [
            self.choose(head(part), keys[i : i + size], positions[i : i + size])
            for i, part in zip(
                range(0, len(states), size), states.split(size), strict=True
            )
        ]
        return torch.cat(parts)

    def choose(
        self, logits: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """Token ids [n] for ``logits`` [n, vocabulary]."""
        scores = logits.float()
        scores[:, list(self.banned)] = -torch.inf
        if self.sampling.temperature > 0:
            scores = truncate(scores / self.sampling.temperature, self.sampling)
            scores = scores + gumbel(keys, positions, scores.shape[-1])
        return scores.argmax(-1)


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
