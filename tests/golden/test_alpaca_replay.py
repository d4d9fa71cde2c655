"""AlpacaEval 2.0 from real replies of its judge, over HTTP: the row of the leaderboard.

The files lie beside a checkout of the project (``../shared``); where they do not, these tests
are skipped.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from selfgen.benchmarks import alpaca_eval
from selfgen.core.errors import UserError
from selfgen.judge.client import Judge
from selfgen.judge.spec import EndpointSpec, Limits
from tests.judge_server import serve

DATA = Path(__file__).parents[3] / "shared" / "data" / "alpaca_eval"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="needs the AlpacaEval files of ../shared/data"
    ),
]
SPEC = EndpointSpec("gpt-4-1106-preview", "TEST_JUDGE")
LIMITS = Limits(8, 0, 30.0, 2, 10.0, 30.0, 100.0)


def load(name: str) -> list[dict]:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def files() -> tuple[list[dict], list[dict], list[dict]]:
    """The model's outputs, the baseline's, and the stored replies."""
    return (
        load("vicuna-7b.outputs.json"),
        load("gpt4_1106_preview.outputs.json"),
        load("vicuna-7b.annotations.json"),
    )


@pytest.fixture
def row(
    files: tuple[list[dict], ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[dict], dict]], dict[str, float]]:
    """The leaderboard row under an endpoint that answers so."""

    def made(answer: Callable[[dict], dict]) -> dict[str, float]:
        outputs, baseline, _ = files
        with serve(answer) as server:
            monkeypatch.setenv("TEST_JUDGE_BASE_URL", server.url)
            monkeypatch.setenv("TEST_JUDGE_API_KEY", "x")
            found = alpaca_eval.annotate(
                outputs, baseline, Judge(SPEC, LIMITS, tmp_path).ask
            )
            # Two outputs are the baseline's own words, which needs no judge.
            assert len(server.seen) == 803
            body = server.seen[0][1]
        assert (body["model"], body["max_tokens"]) == ("gpt-4-1106-preview", 1)
        assert body["logprobs"] and body["top_logprobs"] == 5
        return alpaca_eval.leaderboard_row(found, DATA / "df_gamed.csv")

    return made


def replayed(stored: list[dict], replies: list[dict]) -> Callable[[dict], dict]:
    """Finds the reply by the text of the prompt, which holds an instruction and outputs."""
    by_instruction: dict[str, list[int]] = {}
    for i, item in enumerate(stored):
        by_instruction.setdefault(item["instruction"].strip(), []).append(i)

    def answer(body: dict) -> dict:
        text = body["messages"][-1]["content"]
        _, _, rest = text.partition('"instruction": """')
        instruction, _, outputs = rest.partition('""",\n}\n\n## Model Outputs')
        (i,) = (
            i
            for i in by_instruction[instruction.strip()]
            if stored[i]["output_2"].strip() in outputs
        )
        choice = replies[i]
        return {key: choice[key] for key in ("index", "message", "logprobs")} | {
            "finish_reason": choice["finish_reason"]
        }

    return answer


def test_the_stored_replies_give_the_row_of_the_leaderboard(
    files: tuple[list[dict], ...], row: Callable[..., dict[str, float]]
) -> None:
    """Leaderboard: raw 4.1626 (standard error .6135), length-controlled 6.2772, 1044
    characters. The file for the length control is rebuilt, so that one is looser."""
    stored = files[2]
    found = row(replayed(stored, [item["raw_completion"] for item in stored]))
    assert found["win_rate"] == pytest.approx(4.1626, abs=0.01)
    assert found["standard_error"] == pytest.approx(0.6135, abs=0.001)
    assert found["length_controlled"] == pytest.approx(6.2772, abs=0.1)
    assert (found["length"], found["n"], found["unparsable"]) == (1044, 805, 0)


def test_other_replies_give_another_row(
    files: tuple[list[dict], ...], row: Callable[..., dict[str, float]]
) -> None:
    stored = files[2]
    asked = [item for item in stored if item["raw_completion"]]
    replies = [item["raw_completion"] for item in asked]
    random.Random(0).shuffle(replies)
    found = row(replayed(asked, replies))
    assert found["win_rate"] > 20 and found["length_controlled"] > 20


def test_a_judge_that_always_names_the_first_gives_half(
    row: Callable[..., dict[str, float]],
) -> None:
    """The outputs are shown in a random order: the standard error of a half is 1.8."""

    def first(_: dict) -> dict:
        top = [{"token": t, "logprob": p} for t, p in (("m", -0.0), ("M", -20.0))]
        return {
            "index": 0,
            "message": {"role": "assistant", "content": "m"},
            "finish_reason": "length",
            "logprobs": {"content": [{**top[0], "top_logprobs": top}]},
        }

    assert row(first)["win_rate"] == pytest.approx(50, abs=5)


def test_replies_that_name_neither_are_counted(
    files: tuple[list[dict], ...], row: Callable[..., dict[str, float]]
) -> None:
    """Five replies say something else: they are no loss and no win, and the row is the mean
    of the other 800."""
    stored = files[2]
    other = [{"token": "Both", "logprob": -0.1}]
    said = {"content": [{**other[0], "top_logprobs": other}]}
    replies = [
        item["raw_completion"]
        and item["raw_completion"] | ({"logprobs": said} if i < 5 else {})
        for i, item in enumerate(stored)
    ]
    found = row(replayed(stored, replies))
    assert (found["unparsable"], found["n"]) == (5, 805)
    kept = [100 * (item["preference"] - 1) for item in stored[5:]]
    assert found["win_rate"] == pytest.approx(sum(kept) / 800, abs=0.01)


def test_a_judge_without_log_probabilities_is_refused(
    files: tuple[list[dict], ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one request. Two equal outputs alone would make a row of 50.0."""
    outputs, baseline, _ = files
    for logprobs in (None, {"content": None}, {"content": []}, {"content": [{}]}):
        with serve(
            lambda _, logprobs=logprobs: {
                "index": 0,
                "message": {"role": "assistant", "content": "m"},
                "finish_reason": "length",
                "logprobs": logprobs,
            }
        ) as server:
            monkeypatch.setenv("TEST_JUDGE_BASE_URL", server.url)
            monkeypatch.setenv("TEST_JUDGE_API_KEY", "x")
            judge = Judge(SPEC, LIMITS, tmp_path / str(logprobs))
            with pytest.raises(UserError, match="the judge gave no log-probabilities"):
                alpaca_eval.annotate(outputs, baseline, judge.ask)
            assert len(server.seen) == 1


def test_a_judge_that_names_neither_is_refused(
    row: Callable[..., dict[str, float]],
) -> None:
    top = [{"token": "Both", "logprob": -0.1}]
    said = {"content": [{**top[0], "top_logprobs": top}]}
    choice = {"index": 0, "finish_reason": "length", "logprobs": said}
    message = {"role": "assistant", "content": "Both"}
    with pytest.raises(UserError, match="none of 803 replies of the judge names one"):
        row(lambda _: choice | {"message": message})


def test_instructions_must_be_those_of_the_baseline(
    files: tuple[list[dict], ...], tmp_path: Path
) -> None:
    outputs, baseline, _ = files
    with pytest.raises(UserError, match="1 instructions of the baseline without"):
        alpaca_eval.annotate(outputs[1:], baseline, Judge(SPEC, LIMITS, tmp_path).ask)
