"""How far the distribution of a model's answers is from that of references: MAUVE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.measures.base import Measure, Row, Sums

GROUP = "distribution"

LEAST = 1000
"""With fewer texts MAUVE says more about their number than about the model."""

CLUSTER = 10
"""Texts a cluster on average, and the next three: as compute_mauve.py of krishnap25/mauve."""

VARIANCE = 0.9
SCALE = 5
WEIGHTS = np.linspace(1e-6, 1 - 1e-6, 25)

LONGEST = 1024
"""Tokens of a text that are read."""


def asked(prompts: int) -> None:
    """Raises UserError where there are too few texts, or no package that clusters them."""
    if prompts < LEAST:
        raise UserError(
            f"features: found {prompts} prompts, allowed: MAUVE of {LEAST} texts or more;"
            f" give it more data and prompts={LEAST}"
        )
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise UserError(
            "features: found no scikit-learn, which MAUVE needs; pip install 'selfgen[mauve]'"
        ) from error


def with_clusters(
    rows: Iterable[dict[str, Any]], folder: Path | str, where: Device, batch_size: int
) -> list[dict[str, Any]]:
    """All rows of a model, each with ``clusters``: those of its sample and of its reference,
    and how many there are. ``folder``: a causal model whose hidden states stand for texts."""
    from selfgen.data.prompts import any_tokenizer
    from selfgen.models.loading import load_for_generation

    rows = list(rows)
    model, *_ = load_for_generation(folder, where)
    tokenizer = any_tokenizer(folder)
    # References are cut where samples stop.
    texts = [row[side] for side in ("sample", "reference_text") for row in rows]
    found, count = clusters(features(model, tokenizer, texts, batch_size))
    own, reference = found[: len(rows)], found[len(rows) :]
    return [
        row | {"clusters": [int(own[i]), int(reference[i]), count]}
        for i, row in enumerate(rows)
    ]


def features(
    model: Any, tokenizer: Any, texts: Sequence[str], batch_size: int
) -> np.ndarray:
    """[texts, width]: the last layer's hidden state of each text's last token. An empty text
    is its end alone."""
    import torch

    most = min(LONGEST, getattr(model.config, "max_position_embeddings", LONGEST))
    ids = [tokenizer(text)["input_ids"][:most] for text in texts]
    ids = [found or [tokenizer.eos_token_id] for found in ids]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found: dict[int, np.ndarray] = {}
    device = next(model.parameters()).device
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        longest = max(len(ids[i]) for i in batch)
        tokens = torch.tensor([ids[i] + [0] * (longest - len(ids[i])) for i in batch])
        mask = torch.tensor(
            [[int(n < len(ids[i])) for n in range(longest)] for i in batch]
        )
        with torch.no_grad():
            states = model(
                input_ids=tokens.to(device),
                attention_mask=mask.to(device),
                output_hidden_states=True,
            ).hidden_states[-1]
        for place, i in enumerate(batch):
            found[i] = states[place, len(ids[i]) - 1].float().cpu().numpy()
    return np.stack([found[i] for i in range(len(ids))])


def clusters(found: np.ndarray) -> tuple[np.ndarray, int]:
    """The cluster of each text [texts], and how many there are; half of them are the model's.
    Unit vectors, the components that carry nine tenths of the variance, k-means."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    count = max(2, round(len(found) / 2 / CLUSTER))
    parts = PCA(random_state=0).fit(found := normalize(found))
    carried = np.cumsum(parts.explained_variance_ratio_)
    width = int(np.argmax(carried >= VARIANCE)) + 1
    means = KMeans(count, n_init=5, max_iter=500, random_state=0)
    return means.fit_predict(parts.transform(found)[:, :width]), count


def mauve(sums: Sums) -> np.ndarray:
    """The area under the divergence curve of two histograms that stand side by side in
    ``sums`` [samples, 2 x clusters] (Pillutla et al. 2021, equation 2)."""
    half = sums.shape[-1] // 2
    p, q = (x / x.sum(-1, keepdims=True) for x in (sums[:, :half], sums[:, half:]))
    curve = [
        (_kl(q, w * p + (1 - w) * q), _kl(p, w * p + (1 - w) * q)) for w in WEIGHTS
    ]
    nothing = np.zeros(len(sums))
    # From (1, 0) to (0, 1); both coordinates are monotone in the weight.
    x = np.stack([nothing + 1, *(np.exp(-SCALE * a) for a, _ in curve), nothing])
    y = np.stack([nothing, *(np.exp(-SCALE * b) for _, b in curve), nothing + 1])
    area: np.ndarray = ((x[:-1] - x[1:]) * (y[:-1] + y[1:]) / 2).sum(0)
    return area


def _kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """KL(p || q) of histograms [samples, clusters], q above 0 where p is."""
    some = p != 0
    ratio = np.divide(p, q, out=np.ones_like(p), where=some)
    divergence: np.ndarray = (p * np.log(ratio)).sum(-1)
    return divergence


def _adds(row: Row) -> list[float] | None:
    found: Sequence[int] | None = row.get("clusters")
    if not found:
        return None
    own, reference, count = found
    return [float(own == n) for n in range(count)] + [
        float(reference == n) for n in range(count)
    ]


MEASURES = (
    Measure(
        GROUP,
        "mauve",
        "MAUVE of samples and references",
        "0 to 1",
        "Pillutla et al. 2021",
        "It does not show which answer is wrong. Another run of k-means may move it by"
        " several hundredths, which its interval leaves out. Only as many texts and the same"
        " features compare.",
        _adds,
        mauve,
        share=True,
        better=1,
        needs="features",
        definition="Samples and references, cut where samples stop, are put into clusters by"
        f" another model's last hidden state, one cluster for {CLUSTER} prompts. Of the two"
        f" histograms p and q and their mixtures r the area under exp(-{SCALE} KL(q || r)) by"
        f" exp(-{SCALE} KL(p || r)): 1 where they are alike.",
    ),
)
