"""A metric is two places: its file, and the configuration that names it.

chrF is taken out of a clone whose run is done, and put back as a developer would add it;
beside it stands a metric of the user's own, an ``evaluate`` module.
"""

from __future__ import annotations

import csv
import filecmp
from collections.abc import Callable
from pathlib import Path

import pytest
from sacrebleu import sentence_chrf

from selfgen.data.records import read
from tests.flow import REPO, Flow

CHRF = "src/selfgen/evaluation/metrics/chrf.py"
RUN = ("--configfile", "small.yaml", "--cores", "2")
OWN = '''
import datasets
import evaluate


class Copied(evaluate.Metric):
    """Share of the answer's words that stand in the reference."""

    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=self.__doc__,
            citation="",
            features=datasets.Features(predictions=text, references=text),
        )

    def _compute(self, predictions, references):
        (answer,), (reference,) = predictions, references
        words = answer.split()
        return {"copied": sum(w in reference for w in words) / max(1, len(words))}
'''


def changed(before: Path, after: Path) -> set[str]:
    """The files that a developer has written, results apart."""
    files = {
        str(path.relative_to(root))
        for root in (before, after)
        for folder in ("src", "config", "workflow", ".")
        for path in (root / folder).glob("**/*" if folder != "." else "*.yaml")
        if path.is_file() and "__pycache__" not in path.parts
    }
    _, differ, missing = filecmp.cmpfiles(before, after, files, shallow=False)
    return {*differ, *missing}


@pytest.fixture
def without(flow: Flow, tmp_path: Path) -> Flow:
    """The finished run, in a clone that has never had chrF."""
    (flow.root / CHRF).unlink()
    assert flow.rules(*RUN) == {}, "nobody else needs it"
    return flow


@pytest.mark.slow
def test_chrf_as_a_column(
    without: Flow, tmp_path: Path, warm: Callable[[Flow], None]
) -> None:
    flow, before = without, without.copy(tmp_path / "before").root
    (flow.root / CHRF).write_text((REPO / CHRF).read_text())
    metrics = "    metrics: [rouge, chrf]\n    max_new_tokens"
    flow.replace("small.yaml", "    max_new_tokens", metrics)
    assert changed(before, flow.root) == {CHRF, "small.yaml"}  # two places

    (flow.root / "copied.py").write_text(OWN)
    flow.replace("small.yaml", "[rouge, chrf]", "[rouge, chrf, copied.py:copied]")
    planned = flow.rules(*RUN)
    assert planned == {
        "score_answers": 4,
        "score_lead_1": 1,
        "collect_results": 1,
        "tabulate": 4,
        "plot": 2,
    }
    warm(flow)
    done = flow.snakemake(*RUN)
    assert done.returncode == 0, done.stdout
    _agrees(flow)

    path = flow.root / "copied.py"
    path.write_text(OWN + "\n# a remark\n")
    assert flow.rules(*RUN) == {}
    path.write_text(OWN.replace("max(1,", "max(2,"))
    assert flow.rules(*RUN) == planned


def _agrees(flow: Flow) -> None:
    """The columns of the table are the means of what sacrebleu itself says."""
    import pyarrow.parquet

    results = flow.root / "results"
    answers = "answers/descriptions/tiny/bash/direct/seed0.parquet"
    texts = pyarrow.parquet.read_table(results / answers).to_pylist()
    references = {
        row["id"]: row["reference"]
        for row in read(results / "records/descriptions.parquet")
    }
    wanted = [
        sentence_chrf(row["text"], [references[row["id"]]]).score for row in texts
    ]
    with (results / "tables/details.csv").open() as file:
        found = {row["method"]: row for row in csv.DictReader(file)}
    assert float(found["bash"]["chrf"]) == pytest.approx(
        sum(wanted) / len(wanted) / 100, abs=1e-6
    )
    assert 0 < float(found["lead-1"]["copied"]) <= 1
    text = (results / "tables/details.md").read_text()
    assert "| ROUGE-L | chrF | copied | Tokens |" in text


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (
            "[bleu]",
            "metrics: found 'bleu', allowed: chrf, group-words, latex, numbers, ro",
        ),
        ("[mine.py]", "metrics: found no file mine.py"),
        ("[numbers, latex]", "metrics: latex: found the column 'strict' twice"),
        ("[small.py:words]", "metrics: small.py:words: found the column 'words' twice"),
    ],
)
def test_a_metric_that_is_not_there_ends_in_one_line(
    bare: Flow, tmp_path: Path, metrics: str, said: str
) -> None:
    flow = bare.copy(tmp_path / "clone")
    (flow.root / "small.py").write_text(OWN)
    small = (REPO / "tests/workflow/small.yaml").read_text()
    text = small.replace("    max_words", f"    metrics: {metrics}\n    max_words")
    (flow.root / "small.yaml").write_text(text)
    done = flow.snakemake("-n", "--configfile", "small.yaml")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    assert f"config: tasks.descriptions.{said}" in done.stdout
