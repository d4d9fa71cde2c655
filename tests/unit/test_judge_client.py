"""A judge that is asked over HTTP: order, retries, what is kept, bad replies. The budget is
in ``test_judge_budget.py``."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.judge_server import KEY, LIMITS, SPEC, JudgeServer, ask_of, echo, serve

from selfgen.core.errors import UserError
from selfgen.judge.client import Judge, others
from selfgen.judge.replies import Replies, key_of

REQUESTS = [ask_of(f"item {i}") for i in range(12)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    with echo(monkeypatch) as found:
        yield found


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
        ("413", "unusable: refused as too long (413): fault for Bearer ***"),
        ("402", "the account has no money or quota left (402): fault for Bearer ***"),
        ("418", "the endpoint refuses the request (418): fault for Bearer ***"),
        ("429:3600", "the endpoint asks to wait 3600 s (429), longer than the 120 s"),
        (
            "503:Fri, 31 Dec 2100 23:59:59 GMT",
            " s (503), longer than the 120 s that we",
        ),
        ("drip:1", "no reply within 0.3 s, after 1 retries"),
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


@pytest.mark.parametrize("fault", ["402", "418", "429:3600"])
def test_what_does_not_pass_is_not_asked_again(
    server: JudgeServer, tmp_path: Path, fault: str
) -> None:
    server.always = fault
    with pytest.raises(UserError):
        Judge(SPEC, replace(LIMITS, concurrency=1), tmp_path).ask(REQUESTS)
    assert len(server.seen) == 1


def test_the_time_limit_is_of_the_whole_reply(
    server: JudgeServer, tmp_path: Path
) -> None:
    """A reply that comes piece by piece, each in time, is given up."""
    server.always = "drip:40"
    started = time.monotonic()
    with pytest.raises(UserError, match=r"no reply within 0\.5 s"):
        Judge(SPEC, replace(LIMITS, timeout=0.5, retries=0), tmp_path).ask(REQUESTS[:1])
    assert time.monotonic() - started < 20
    server.always = "drip:1"
    patient = Judge(SPEC, replace(LIMITS, timeout=30), tmp_path)
    assert patient.ask(REQUESTS[:1])[0].text == "ITEM 0"


BODY = (
    '{"model": "judge-1", "choices": [{"message": {"content": %s}, "finish_reason": "stop"}],'
    ' "usage": {"prompt_tokens": %s, "completion_tokens": 1}}'
)


@pytest.mark.parametrize(
    "raw",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        BODY % ("[" * 200_000, "2"),
        "1e400",
        "9" * 10_000,
        "NaN",
        "null",
        "[]",
        '"text"',
        '{"choices": 1e400}',
        '{"choices": {"0": 1}, "usage": [1]}',
        '{"choices": ["x"], "usage": "much"}',
        '{"choices": [{"message": ["x"]}], "model": 7}',
        BODY % ("null", "2"),
        BODY % ("1e400", "2"),
        "\ufeff",
        "",
    ],
)
def test_nonsense_ends_in_one_line(
    server: JudgeServer, tmp_path: Path, raw: str
) -> None:
    server.always, server.raw = "raw", raw.encode()
    with pytest.raises(
        UserError, match=r"^judge judge-1: 0 of 1 replies.*1 unusable: an?"
    ):
        Judge(SPEC, replace(LIMITS, retries=0), tmp_path).ask(REQUESTS[:1])


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("\ufeff" + BODY % ('"B"', "2"), "B"),
        (BODY % ('"B"', "1e400"), "B"),
        (BODY % ('"B"', "NaN"), "B"),
        (BODY % (r'"B \ud800"', "2"), "B ?"),
    ],
)
def test_an_odd_reply_is_read_and_kept(
    server: JudgeServer, tmp_path: Path, raw: str, text: str
) -> None:
    """A byte order mark, a number that is none, half of a surrogate pair."""
    server.always, server.raw = "raw", raw.encode()
    for _ in range(2):
        (reply,) = Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS[:1])
        assert reply.text == text and reply.text.encode()
    assert len(server.seen) == 1


def test_a_reply_of_another_model_is_named(
    server: JudgeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.more = {"model": "cheap-1"}
    replies = Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS)
    assert {reply.model for reply in replies} == {"cheap-1"}
    said = "judge judge-1: 12 of 12 replies are by another model: cheap-1"
    assert said in caplog.text
    assert others(replies, SPEC) == {"cheap-1": 12}
    # Also where they were kept.
    assert others(Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS), SPEC) == {"cheap-1": 12}
    # The name is one line without the key, whatever the endpoint says.
    server.more = {"model": f"{KEY}\n  {'x' * 1000}"}
    (reply,) = Judge(SPEC, LIMITS, tmp_path / "c").ask(REQUESTS[:1])
    assert reply.model == f"*** {'x' * 96}"
    server.more = {}
    assert not others(Judge(SPEC, LIMITS, tmp_path / "b").ask(REQUESTS[:2]), SPEC)


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
    monkeypatch.setenv("TEST_JUDGE_BASE_URL", "::")
    with pytest.raises(UserError, match="TEST_JUDGE_BASE_URL is no address"):
        Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS)
    for url in ("http://127.0.0.1:1/v1", "http://[", "nowhere", "http://"):
        monkeypatch.setenv("TEST_JUDGE_BASE_URL", url)
        with pytest.raises(UserError, match="cannot reach the endpoint of TEST_JUDGE"):
            Judge(SPEC, replace(LIMITS, retries=0), tmp_path).ask(REQUESTS)
    monkeypatch.setenv("TEST_JUDGE_API_KEY", "sk-\n")
    with pytest.raises(UserError, match="TEST_JUDGE_API_KEY holds characters that no"):
        Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS)
    monkeypatch.delenv("TEST_JUDGE_API_KEY")
    with pytest.raises(UserError, match="found no TEST_JUDGE_API_KEY in the environm"):
        Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS)


def test_a_notebook_may_ask(server: JudgeServer, tmp_path: Path) -> None:
    """Where a loop runs already; and a thread of one's own."""

    async def cell() -> str:
        return Judge(SPEC, LIMITS, tmp_path).ask(REQUESTS[:1])[0].text

    assert asyncio.run(cell()) == "ITEM 0"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(Judge(SPEC, LIMITS, tmp_path).ask, REQUESTS[1:2])
        assert asked.result()[0].text == "ITEM 1"


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
