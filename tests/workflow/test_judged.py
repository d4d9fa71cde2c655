"""Judges in real runs: win rates, AlpacaEval and MT-Bench against an endpoint on loopback."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.file_server import serve_texts
from tests.flow import Flow
from tests.judge_server import JudgeServer, serve

KEY = "sk-secret-of-the-run"
RUN = ("--configfile", "small.yaml", "more.yaml", "--cores", "2")
METHODS = 4


def answer(body: dict) -> str | dict:
    """Prefers the shorter summary; rates seven; names model m with certainty."""
    text = body["messages"][-1]["content"]
    if "### Answer A:" in text:
        _, _, rest = text.partition("### Answer A:")
        a, _, rest = rest.partition("### Answer B:")
        b = rest.partition("### How to reply:")[0]
        return f"Comparison: x.\nPreferred: {'A' if len(a) <= len(b) else 'B'}"
    if "RATE" in text:
        return "Fine. Rating: [[7]]" if "Q1" in text else "Rating: [[4]]"
    top = [{"token": t, "logprob": p} for t, p in (("m", -0.1), ("M", -2.5))]
    return {
        "index": 0,
        "message": {"role": "assistant", "content": "m"},
        "finish_reason": "length",
        "logprobs": {"content": [{**top[0], "top_logprobs": top}]},
    }


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    with serve(answer) as server:
        monkeypatch.setenv("TEST_JUDGE_BASE_URL", server.url)
        monkeypatch.setenv("TEST_JUDGE_API_KEY", KEY)
        yield server


TEXTS = {
    "alpaca-eval-baseline": json.dumps(
        [
            {"instruction": f"Do {i}", "output": f"Done {i}", "generator": "base"}
            for i in range(3)
        ]
    ),
    "mt-bench-questions": "\n".join(
        json.dumps({"question_id": i, "category": c, "turns": [f"Q{i}", f"R{i}"]})
        for i, c in ((1, "writing"), (2, "math"))
    ),
    "mt-bench-references": json.dumps(
        {"question_id": 2, "choices": [{"turns": ["ref one", "ref two"]}]}
    ),
    "mt-bench-prompts": "\n".join(
        json.dumps({"name": name, "system_prompt": "s", "prompt_template": text})
        for name, text in (
            ("single-v1", "RATE {question} {answer}"),
            ("single-v1-multi-turn", "RATE {question_1} {answer_1} {answer_2}"),
            ("single-math-v1", "RATE {ref_answer_1} {answer}"),
            ("single-math-v1-multi-turn", "RATE {ref_answer_2} {answer_2}"),
        )
    ),
}
"""Small stand-ins for the benchmarks' files."""


@pytest.fixture
def files(tmp_path: Path) -> Iterator[dict[str, dict[str, str]]]:
    """The stand-ins, served on loopback, for ``files``."""
    with serve_texts(tmp_path / "served", TEXTS) as found:
        yield found


JUDGE = {
    "kind": "endpoint",
    "model": "judge-1",
    "environment": "TEST_JUDGE",
    "retries": 0,
    "input_price": 1.0,
    "output_price": 1.0,
    "budget": 1.0,
}


def table(flow: Flow, name: str) -> dict[tuple[str, str], dict[str, str]]:
    with (flow.root / f"results/tables/{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {(row["method"], row.get("decoding", "")): row for row in rows}


@pytest.mark.slow
def test_win_rates(
    flow: Flow, endpoint: JudgeServer, warm: Callable[[Flow], None]
) -> None:
    """A comparison by an endpoint that fails half way, and one by a proxy. What was answered
    is asked no second time; the key and the address are written nowhere."""
    warm(flow)
    more = {
        "judges": {"gpt": JUDGE, "likely": {"kind": "likelihood"}},
        "evaluation": {
            "win_rates": {
                "gpt": {"judge": "gpt", "orders": "both"},
                "likely": {"judge": "likely", "against": "sft-continued"},
            }
        },
    }
    flow.write_config("more.yaml", more)
    planned = flow.rules(*RUN)
    assert planned == {
        "judge_answers": 2 * METHODS - 1,
        "tabulate": 2,
    }
    endpoint.faults = [""] * 5 + ["500"] * 3
    done = flow.snakemake(*RUN, "--keep-going")
    assert done.returncode != 0
    logs = [p.read_text() for p in (flow.root / "logs/judge_answers").rglob("*.log")]
    errors = [line for log in logs for line in log.splitlines() if "error:" in line]
    assert errors and all(
        "replies, which are kept; the endpoint fails" in e for e in errors
    )
    assert any(
        "requests, 0 of them kept; the others cost about $" in log for log in logs
    )
    answered = sum(1 for p in (flow.root / "resources/replies").rglob("*.json"))
    assert 5 <= answered < 8 * METHODS

    endpoint.seen.clear()
    done = flow.snakemake(*RUN)
    assert done.returncode == 0, done.stdout
    # Four prompts, two orders, four methods; some answers of a random model are equal.
    assert len(endpoint.seen) <= 8 * METHODS - answered
    kept = list((flow.root / "resources/replies").rglob("*.json"))
    assert len(kept) == answered + len(endpoint.seen)
    for path in flow.root.rglob("*"):
        if path.is_file() and path.suffix not in (".whl", ".safetensors"):
            data = path.read_bytes()
            assert KEY.encode() not in data, path
            assert endpoint.url.encode() not in data, path

    rows = table(flow, "win-rates-gpt")
    assert len(rows) == METHODS
    for row in rows.values():
        assert row["n"] == "4" and float(row["unparsable"]) == 0
        assert 0 <= float(row["win_rate"]) <= 1 and row["consistent"]
    text = (flow.root / "results/tables/win-rates-likely.md").read_text()
    assert "A proxy, no judge: the answer whose tokens are likelier" in text
    assert set(table(flow, "win-rates-likely")) == {
        (m, "direct") for m in ("base", "sft", "bash")
    }
    # How the endpoint is asked, and what it may cost, is no part of what was judged.
    more["judges"]["gpt"] = JUDGE | {"concurrency": 1, "retries": 3, "budget": 2.0}
    flow.write_config("more.yaml", more)
    assert flow.rules(*RUN) == {}


@pytest.mark.slow
def test_benchmarks(
    flow: Flow,
    endpoint: JudgeServer,
    files: dict[str, dict[str, str]],
    warm: Callable[[Flow], None],
) -> None:
    """AlpacaEval on three instructions and MT-Bench on two questions, from files that are
    fetched by hash. The judge gives model m .917 of the probability, whichever it is."""
    pytest.importorskip("alpaca_eval")
    warm(flow)
    asked = {"judge": "gpt", "tasks": ["descriptions"], "max_new_tokens": 16}
    more = {
        "judges": {"gpt": JUDGE},
        "files": files,
        "evaluation": {"alpaca_eval": asked, "mt_bench": asked},
    }
    flow.write_config("more.yaml", more)
    planned = flow.rules(*RUN)
    assert planned.pop("fetch_file") == 4
    assert (
        planned.pop("answer_benchmark") == planned.pop("grade_benchmark") == 2 * METHODS
    )
    assert planned == {"tabulate": 2}
    done = flow.snakemake(*RUN)
    assert done.returncode == 0, done.stdout
    m, other = 0.9168, 0.0832
    for row in table(flow, "alpaca-eval").values():
        wins = [float(row["win_rate"]) * 3 - n * m - (3 - n) * other for n in range(4)]
        assert min(map(abs, wins)) < 0.01, "each is one of the two probabilities"
        assert row["length_controlled"] == "" and row["unparsable"] == "0"
    for row in table(flow, "mt-bench").values():
        # Question 1 is rated 7 in both turns, question 2 is rated 4.
        assert float(row["mean"]) == 5.5 and float(row["writing"]) == 7
        assert float(row["turn_2"]) == 5.5 and row["unparsable"] == "0"
    assert flow.rules(*RUN) == {}
