"""A judge that is asked over HTTP: order, retries, what is kept, the budget, bad replies."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.judge_server import JudgeServer, serve

from selfgen.core.errors import UserError
from selfgen.judge.client import Judge
from selfgen.judge.replies import Replies, key_of
from selfgen.judge.spec import EndpointSpec, Limits

KEY = "sk-secret-of-the-test"
SPEC = EndpointSpec("judge-1", "TEST_JUDGE")
LIMITS = Limits(4, 0, 2.0, 2, 1.0, 2.0, 100.0)


def ask_of(text: str) -> dict:
    return {
        "messages": [{"role": "user", "content": text}],
        "temperature": 0.0,
        "max_tokens": 8,
    }


def last(body: dict) -> str:
    return body["messages"][-1]["content"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    """Repeats what it is asked, in capitals; who asks again waits a tenth as long."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.05)
    with serve(lambda body: last(body).upper()) as found:
        monkeypatch.setenv("TEST_JUDGE_BASE_URL", found.url)
        monkeypatch.setenv("TEST_JUDGE_API_KEY", KEY)
        yield found


REQUESTS = [ask_of(f"item {i}") for i in range(12)]


def test_replies_in_order_and_never_twice(server: JudgeServer, tmp_path: Path) -> None:
    """Equal requests are one; a second call asks nothing, also of a new client."""
    seen: list[tuple[int, int]] = []
    judge = Judge(SPEC, LIMITS, tmp_path)
    replies = judge.ask([*REQUESTS, *REQUESTS], lambda a, b: seen.append((a, b)))
    assert [r.text for r in replies] == [f"ITEM {i}" for i in range(12)] * 2
    assert len(server.seen) == 12 and sorted(seen)[-1] == (12, 12)
    assert server.keys == {f"Bearer {KEY}"}
    assert Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS) == replies[:12]
    assert len(server.seen) == 12
    # Another model, temperature or text is another request.
    other = replace(SPEC, model="judge-2")
    assert Judge(other, LIMITS, tmp_path).ask(REQUESTS[:1])[0].text == "ITEM 0"
    assert len(server.seen) == 13
    assert key_of("a", ask_of("x")) != key_of("a", ask_of("x") | {"temperature": 1.0})


@pytest.mark.parametrize(
    "fault", ["429:1", "500", "503", "drop", "cut", "text", "nothing"]
)
def test_what_passes_is_asked_again(
    server: JudgeServer, tmp_path: Path, fault: str
) -> None:
    server.faults = [fault]
    assert Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS[:1])[0].text == "ITEM 0"
    assert len(server.seen) == 2
    if fault == "429:1":
        assert server.seen[1][0] - server.seen[0][0] >= 1


def test_a_hanging_endpoint_times_out_and_is_asked_again(
    server: JudgeServer, tmp_path: Path
) -> None:
    server.faults = ["hang:1"]
    quick = replace(LIMITS, timeout=0.3)
    assert Judge(SPEC, quick, tmp_path).ask(REQUESTS[:1])[0].text == "ITEM 0"


@pytest.mark.parametrize(
    "fault, said",
    [
        ("401", "refuses the key of TEST_JUDGE_API_KEY (401)"),
        ("403", "refuses the key of TEST_JUDGE_API_KEY (403)"),
        ("404", "no such model, or TEST_JUDGE_BASE_URL is wrong (404)"),
        ("429", "the endpoint fails (429), after 1 retries: fault for Bearer ***"),
        ("500", "the endpoint fails (500), after 1 retries"),
        ("drop", "cannot reach the endpoint of TEST_JUDGE_BASE_URL"),
        ("cut", "cannot reach the endpoint of TEST_JUDGE_BASE_URL"),
        ("hang:1", "no reply within 0.3 s, after 1 retries"),
        ("text", "unusable: a reply that is no JSON of a completion"),
        ("nothing", "unusable: a reply without a choice"),
        ("empty", "unusable: an empty completion (finish_reason length)"),
        ("400", "unusable: refused (400): fault for Bearer ***"),
    ],
)
def test_what_lasts_ends_in_one_line(
    server: JudgeServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    said: str,
) -> None:
    """Two requests are answered first; they are kept, and asked no second time."""
    caplog.set_level(logging.DEBUG)
    judge = Judge(SPEC, replace(LIMITS, retries=1, timeout=0.3), tmp_path)
    judge.ask(REQUESTS[:2])
    server.always = fault
    with pytest.raises(UserError) as error:
        judge.ask(REQUESTS[:6])
    text = str(error.value)
    assert text.startswith("judge judge-1: 2 of 6 replies, which are kept; ")
    assert said in text and "\n" not in text
    server.always = ""
    before = len(server.seen)
    # Patient, since on a busy machine a good reply may take longer than that.
    found = Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS[:6])
    assert [reply.text for reply in found] == [f"ITEM {i}" for i in range(6)]
    assert len(server.seen) == before + 4
    kept = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    for secret in (KEY, server.url):
        assert secret not in kept + caplog.text + text


def test_one_refused_request_does_not_stop_the_others(
    server: JudgeServer, tmp_path: Path
) -> None:
    server.faults = ["400"]
    judge = Judge(SPEC, replace(LIMITS, concurrency=1), tmp_path)
    with pytest.raises(UserError, match=r"5 of 6 replies.*1 unusable: refused"):
        judge.ask(REQUESTS[:6])


def test_a_dead_endpoint_is_given_up(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first request that fails for good, those that wait are not sent."""
    server.always = "500"
    with pytest.raises(UserError, match="0 of 12 replies"):
        Judge(SPEC, replace(LIMITS, retries=0, concurrency=1), tmp_path).ask(REQUESTS)
    assert len(server.seen) == 1
    for url in ("http://127.0.0.1:1/v1", "nowhere", "http://"):
        monkeypatch.setenv("TEST_JUDGE_BASE_URL", url)
        with pytest.raises(UserError, match="cannot reach the endpoint of TEST_JUDGE"):
            Judge(SPEC, replace(LIMITS, retries=0), tmp_path).ask(REQUESTS)
    monkeypatch.delenv("TEST_JUDGE_API_KEY")
    with pytest.raises(UserError, match="found no TEST_JUDGE_API_KEY in the environm"):
        Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS)


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


def test_the_rate_is_kept(server: JudgeServer, tmp_path: Path) -> None:
    """Six requests at 600 a minute are a tenth of a second apart."""
    Judge(SPEC, replace(LIMITS, requests_per_minute=600), tmp_path).ask(REQUESTS[:6])
    times = sorted(t for t, _ in server.seen)
    assert times[-1] - times[0] >= 0.45


def test_requests_go_out_side_by_side(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Four at a time, never more: each reply waits until it has seen three others."""
    together, most, lock = 0, 0, threading.Lock()
    barrier = threading.Barrier(4, timeout=10)

    def answer(_: dict) -> str:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        barrier.wait()
        time.sleep(0.05)
        with lock:
            together -= 1
        return "x"

    with serve(answer) as server:
        monkeypatch.setenv("TEST_JUDGE_BASE_URL", server.url)
        monkeypatch.setenv("TEST_JUDGE_API_KEY", KEY)
        Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS)
    assert most == 4


def test_log_probabilities_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logprobs = {"content": [{"token": "m", "logprob": -0.1, "top_logprobs": []}]}

    def answer(_: dict) -> dict:
        return {
            "index": 0,
            "message": {"role": "assistant", "content": "m"},
            "finish_reason": "length",
            "logprobs": logprobs,
        }

    with serve(answer) as server:
        monkeypatch.setenv("TEST_JUDGE_BASE_URL", server.url)
        monkeypatch.setenv("TEST_JUDGE_API_KEY", KEY)
        request = ask_of("a") | {"logprobs": True, "top_logprobs": 5}
        for _ in range(2):
            reply = Judge(SPEC, LIMITS, tmp_path).ask([request])[0]
            assert (reply.logprobs, reply.finish_reason) == (logprobs, "length")
        assert server.seen[0][1]["top_logprobs"] == 5 and len(server.seen) == 1


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


def test_one_process_asks_at_a_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second waits, says so, and goes on when the first has ended."""
    caplog.set_level(logging.INFO)
    order: list[str] = []

    def second() -> None:
        with Replies(tmp_path).alone():
            order.append("second")

    with Replies(tmp_path).alone():
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert "another process asks a judge" in caplog.text
