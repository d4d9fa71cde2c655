"""MAUVE by hand, against the package of its authors, and its interval by simulation."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

import selfgen
from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.measures import distribution
from selfgen.measures.base import interval
from tests.tiny import tiny

(MAUVE,) = distribution.MEASURES


def score(p: list[float], q: list[float]) -> float:
    return float(distribution.mauve(np.array([[*p, *q]]))[0])


def test_by_hand() -> None:
    assert score([5, 5], [50, 50]) == pytest.approx(1)
    # Nothing in common: KL(q || r) = -log(1 - w), so x = (1 - w)^5 and y = w^5.
    w = distribution.WEIGHTS
    x, y = [1, *(1 - w) ** 5, 0], [0, *w**5, 1]
    by_hand = sum((x[i] - x[i + 1]) * (y[i] + y[i + 1]) / 2 for i in range(len(x) - 1))
    assert score([1, 0], [0, 1]) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(
        math.factorial(5) ** 2 / math.factorial(10), rel=0.2
    )


def test_of_histograms_as_its_authors_package() -> None:
    package = pytest.importorskip("mauve.compute_mauve")
    rng = np.random.default_rng(0)
    for _ in range(20):
        p, q = rng.dirichlet(np.full(30, 0.3), 2)
        p[rng.integers(30)] = q[rng.integers(30)] = 0
        p, q = p / p.sum(), q / q.sum()
        curve = package.get_divergence_curve_for_multinomials(
            p, q, distribution.WEIGHTS, distribution.SCALE
        )
        x, y = curve.T
        a, b = np.argsort(x), np.argsort(y)
        area = package.compute_area_under_curve
        theirs = (area(x[a], y[a]) + area(y[b], x[b])) / 2
        assert score(list(p), list(q)) == pytest.approx(theirs)


@pytest.mark.parametrize("apart", [0.0, 1.0, 2.0])
def test_of_features_as_its_authors_package(apart: float) -> None:
    package = pytest.importorskip("mauve")
    rng = np.random.default_rng(1)
    shapes = rng.normal(size=(20, 16)) * 2
    own, reference = (
        shapes[rng.integers(20, size=1000)] + rng.normal(size=(1000, 16)) for _ in "ab"
    )
    own[:, 0] += apart
    labels, count = distribution.clusters(np.concatenate([own, reference]))
    histograms = [np.bincount(part, minlength=count) for part in np.split(labels, 2)]
    runs = [
        package.compute_mauve(own, reference, verbose=False, seed=n) for n in range(4)
    ]
    assert {run.num_buckets for run in runs} == {count} == {100}
    # Two runs of k-means do not find the same clusters.
    theirs = [run.mauve for run in runs]
    assert min(theirs) - 0.03 <= score(*map(list, histograms)) <= max(theirs) + 0.03


def test_its_interval_holds_the_mean_of_other_texts() -> None:
    """Clusters as they are: the mean over draws of as many texts lies in the interval about
    as often as that says."""
    rng = np.random.default_rng(2)
    p, q = rng.dirichlet(np.full(100, 2.0)), rng.dirichlet(np.full(100, 2.0))
    draws = [
        (rng.choice(100, 1000, p=p), rng.choice(100, 1000, p=q)) for _ in range(60)
    ]
    tables = [np.concatenate([np.bincount(x, minlength=100) for x in d]) for d in draws]
    mean = distribution.mauve(np.array(tables, float)).mean()
    held = 0
    for own, reference in draws:
        rows = {
            f"{i}": {"clusters": [a, b, 100]}
            for i, (a, b) in enumerate(zip(own, reference, strict=True))
        }
        found = interval(MAUVE, {0: rows}, 0.95)
        assert found is not None
        held += found.low <= mean <= found.high
    assert 0.88 <= held / 60 <= 0.99


def test_texts_are_told_apart_by_a_model_that_embeds_them(tmp_path: Path) -> None:
    folder, draw = tiny(tmp_path), random.Random(0)
    kinds = ["the cat sat", "7 + 5 = 12", "", "Paris is a city. It rains."]

    def text(weights: list[int]) -> str:
        return draw.choices(kinds, weights)[0] + " " * draw.randrange(2)

    def rows(own: list[int]) -> list[dict[str, object]]:
        return [
            {"id": f"{i}", "sample": text(own), "reference_text": text([1, 1, 1, 1])}
            for i in range(distribution.LEAST)
        ]

    found = []
    for own in ([1, 1, 1, 1], [9, 1, 1, 9]):
        read = distribution.with_clusters(rows(own), folder, Device("cpu"), 64)
        value = interval(MAUVE, {0: {str(row["id"]): row for row in read}}, 0.95)
        assert value is not None
        found.append(value)
    assert found[0].value > 0.95 and found[1].high < found[0].low


def test_of_too_few_texts_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="found 3 prompts, allowed: MAUVE of 1000 texts"
    ):
        selfgen.measure(
            tiny(tmp_path),
            None,
            [{"prompt": f"{i}", "reference": "a"} for i in range(3)],
            features=tmp_path,
        )
