"""What asking a judge over HTTP may cost, and what is counted."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.judge_server import LIMITS, SPEC, JudgeServer, ask_of, echo

from selfgen.benchmarks.base import Reply
from selfgen.core.errors import UserError
from selfgen.judge.client import Judge
from selfgen.judge.replies import Replies

REQUESTS = [ask_of(f"item {i}") for i in range(12)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    with echo(monkeypatch) as found:
        yield found


def test_the_budget_is_a_limit(server: JudgeServer, tmp_path: Path) -> None:
    """Prompts of 2 tokens at $1 and replies of 1 at $2 a million: $4 a million requests.
    A request may cost its 6 bytes, 8 tokens around them and 8 of reply: $30 a million."""
    judge = Judge(SPEC, replace(LIMITS, budget=39e-6, concurrency=1), tmp_path)
    found = judge.estimate(REQUESTS)
    assert (found.total, found.asked, found.spent) == (12, 12, 0)
    assert found.dollars == pytest.approx((10 * 6 / 4 + 2 * 7 / 4 + 12 * 16) / 1e6)
    with pytest.raises(UserError) as error:
        judge.ask(REQUESTS)
    # Spent 4, 8, 12; after the third 12 + 30 would be more than 39.
    assert "3 of 12 replies" in str(error.value)
    assert "budget of $3.9e-05" in str(error.value)
    assert len(server.seen) == 3 and judge.spent() == pytest.approx(12e-6)
    # What was spent counts for the next run too, and kept replies cost nothing.
    again = Judge(SPEC, replace(LIMITS, budget=39e-6), tmp_path)
    assert again.estimate(REQUESTS).asked == 9
    with pytest.raises(UserError, match="3 of 12"):
        again.ask(REQUESTS)
    assert len(server.seen) == 3
    more = Judge(SPEC, replace(LIMITS, budget=1.0), tmp_path)
    assert len(more.ask(REQUESTS)) == 12 and len(server.seen) == 12


def test_unusable_replies_are_paid_for(server: JudgeServer, tmp_path: Path) -> None:
    server.always = "empty"
    judge = Judge(SPEC, replace(LIMITS, retries=2), tmp_path)
    with pytest.raises(UserError, match="an empty completion"):
        judge.ask(REQUESTS[:1])
    assert Replies(tmp_path).paid("judge-1") == (6, 3)


def test_another_try_is_held_against_the_budget(
    server: JudgeServer, tmp_path: Path
) -> None:
    """Empty completions cost $4 a million each; the third try would leave no room."""
    server.always = "empty"
    judge = Judge(SPEC, replace(LIMITS, retries=9, budget=37e-6), tmp_path)
    with pytest.raises(UserError, match="exceed the budget"):
        judge.ask(REQUESTS[:1])
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "much",
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": -5},
        {"prompt_tokens": True, "completion_tokens": True},
        {"prompt_tokens": "2", "completion_tokens": "1"},
        {"prompt_tokens": 10**18, "completion_tokens": 10**18},
        {"prompt_tokens": 1e308, "completion_tokens": 1e308},
        {"prompt_tokens": None, "completion_tokens": None},
    ],
)
def test_the_budget_holds_whatever_usage_says(
    server: JudgeServer, tmp_path: Path, usage: object
) -> None:
    """Then a request costs the most that it may: $30 a million, so five for $150."""
    server.more = {"usage": usage}
    judge = Judge(SPEC, replace(LIMITS, budget=150e-6 + 1e-9, concurrency=4), tmp_path)
    with pytest.raises(UserError, match=r"5 of 12 replies.*exceed the budget"):
        judge.ask([ask_of(f"item {chr(97 + i)}") for i in range(12)])
    assert len(server.seen) == 5 and judge.spent() == pytest.approx(150e-6)


@pytest.mark.parametrize("fault", ["drop", "cut", "text", "hang:0.6"])
def test_a_reply_that_was_lost_may_have_been_charged(
    server: JudgeServer, tmp_path: Path, fault: str
) -> None:
    server.always = fault
    judge = Judge(SPEC, replace(LIMITS, retries=1, timeout=0.5), tmp_path)
    with pytest.raises(UserError):
        judge.ask(REQUESTS[:1])
    assert judge.spent() == pytest.approx(2 * 30e-6)


@pytest.mark.parametrize("fault", ["500", "429", "400", "404"])
def test_an_error_costs_nothing(
    server: JudgeServer, tmp_path: Path, fault: str
) -> None:
    server.always = fault
    judge = Judge(SPEC, replace(LIMITS, retries=1), tmp_path)
    with pytest.raises(UserError):
        judge.ask(REQUESTS[:1])
    assert judge.spent() == 0


@pytest.mark.parametrize("line", ['["a" 5, 1]', '["a", 5]', '["a", [5], 1]', "5]"])
def test_a_damaged_line_of_the_ledger_is_named(tmp_path: Path, line: str) -> None:
    replies = Replies(tmp_path)
    replies.pay("a", 10, 2)
    with replies.ledger.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(
        UserError, match=rf"^{replies.ledger}: line 3: found .*lower the"
    ):
        replies.paid("a")


def test_a_digit_of_the_ledger_is_not_believed(tmp_path: Path) -> None:
    replies = Replies(tmp_path)
    replies.pay("a", 1000, 2)
    text = replies.ledger.read_text()
    replies.ledger.write_text(text.replace("1000", "1"))
    with pytest.raises(UserError, match=r"line 2: found .* and their digest; mend it"):
        replies.paid("a")
    replies.ledger.write_text('["a", 1000, 2]\n')
    assert replies.paid("a") == (1000, 2), "of an earlier version"


def test_a_ledger_that_was_cut_off_is_read(tmp_path: Path) -> None:
    replies = Replies(tmp_path)
    replies.pay("a", 10, 2)
    replies.pay("b", 5, 1)
    replies.pay("a", 1, 1)
    with replies.ledger.open("a") as file:
        file.write('["a", 99')
    assert replies.paid("a") == (11, 3)
    replies.pay("a", 1, 0)
    assert replies.paid("a") == (12, 3)


def test_a_kept_reply_is_whole_or_refused(tmp_path: Path) -> None:
    """Every bit of its file. One of an earlier version has no digest, and was paid for."""
    replies, reply = Replies(tmp_path), Reply("[[7]]", "stop", 11, 3, model="m")
    assert replies.get("k") is None
    replies.put("k", reply)
    (path,) = tmp_path.rglob("*.json")
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            assert replies.get("k") == reply
        except UserError as error:
            assert "delete it, and it is asked for anew" in str(error)
        else:
            raise AssertionError(f"byte {place} changed nothing")
    path.write_text(json.dumps(asdict(reply)))
    assert replies.get("k") == reply
