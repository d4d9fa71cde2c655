"""Equivalence of final answers in LaTeX, by hand."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from selfgen.data.final_answers import boxed
from selfgen.evaluation.metrics import latex
from selfgen.evaluation.metrics.latex import equivalent, flexible, strict


@pytest.mark.parametrize(
    "text, found",
    [
        (r"so $\boxed{2}$ and then $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{}", ""),
        (r"\boxed{1", None),
        (r"is $\boxed 12$ or so", "12"),
        (r"\fbox{A} and \boxed {B}", "B"),
        (r"\boxed{3} in \fbox{4}", "4"),
        ("no box", None),
    ],
)
def test_boxes(text: str, found: str | None) -> None:
    assert boxed(text) == found


@pytest.mark.parametrize(
    "found, answer",
    [
        ("0.5", r"\frac{1}{2}"),
        (r"\frac12", r"\frac{1}{2}"),
        (r"\dfrac{3}{4}", "0.75"),
        ("1,000", "1000"),
        (r"2\sqrt{2}", r"\sqrt{8}"),
        ("x^2+2x+1", "(x+1)^2"),
        ("(1, 2)", "(1,2)"),
        (r"\{2, 1\}", r"\{1, 2\}"),
        (r"[2,5)", "[2, 5)"),
        (r"\text{Evelyn}", r"\text{Evelyn}"),
        (r"x = 5", "5"),
        (r"50\%", "50"),
        ("50%", "50"),
        ("50", r"50\%"),
        (r"50\,\%", "50"),
        (r"50\text{ percent}", "50"),
        ("12.5 percent", r"12.5\%"),
        (r"33\frac{1}{3}\%", r"\frac{100}{3}"),
        ("5.", "5"),
        (r"5\,", "5"),
        ("x = 5;", "5"),
    ],
)
def test_what_is_equal(found: str, answer: str) -> None:
    assert equivalent(found, answer)


@pytest.mark.parametrize(
    "found, answer",
    [
        ("2", "3"),
        ("0.33", r"\frac{1}{3}"),
        ("(2, 1)", "(1, 2)"),
        ("[2,5]", "[2,5)"),
        ("-x", "x"),
        ("", "1"),
        (r"\frac{1", "1"),
        (r"50\%", "51"),
        ("", ""),
        ("1.5", "1"),
        (r"\text{Evelyn}", r"\text{Carla}"),
    ],
)
def test_what_is_not(found: str, answer: str) -> None:
    assert not equivalent(found, answer)


def test_strict_and_flexible() -> None:
    """A box where there is one; else flexible takes the last formula, or the last number."""
    assert strict(r"It is $\boxed{\frac{1}{2}}$.", "0.5")
    assert not strict("It is $0.5$.", "0.5")
    assert flexible("First $3$, it is $0.5$.", r"\frac{1}{2}")
    assert flexible("It is 1,200 in the end.", "1200")
    assert flexible(r"$\boxed{7}$, not 8.", "7") and not flexible("nothing", "7")
    assert flexible("So it is $5.$", "5") and flexible("It is $5$.", "5")
    assert flexible(r"It costs \$3 and then \$5.", "5")
    assert flexible(r"It costs $\$5$.", "5") and flexible(r"\(3\), \[5.\]", "5")
    assert flexible("$$x = 5$$ as $3 < 4", "5")
    assert flexible(r"It is $50\%$.", "50") and strict(r"\boxed{50\%}", "50")
    assert not strict("", "5") and not flexible("", "5")
    assert not strict(r"\boxed{}", "5")


MONSTER = "9^{9^{9^{9^{9}}}}"


def test_a_monster_takes_no_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does what it ended make the next one wrong, whose new process first imports for
    longer than the limit."""
    monkeypatch.setattr(latex, "SECONDS", 0.3)
    started = time.monotonic()
    assert not equivalent(MONSTER, "9^{9^{9^{9}}}+1")
    assert time.monotonic() - started < 60
    assert equivalent("0.5", r"\frac{1}{2}")


def test_threads_may_grade(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right, wrong and monstrous answers, side by side."""
    monkeypatch.setattr(latex, "SECONDS", 0.3)
    found = ["0.5", "0.4", MONSTER, r"\dfrac12"] * 2
    with ThreadPoolExecutor(4) as pool:
        grades = [*pool.map(lambda text: equivalent(text, r"\frac{1}{2}"), found)]
    assert grades == [True, False, False, True] * 2


@pytest.mark.parametrize(
    "piece",
    [
        r"\(",
        r"\[",
        "$",
        "$$",
        r"\$",
        r"\boxed{",
        r"\boxed ",
        "{",
        "1",
        "1,",
        " ",
        r"\%",
    ],
)
def test_a_hostile_text_takes_linear_time(piece: str) -> None:
    """A megabyte in a fraction of a second, also in a box; it was minutes."""
    assert not equivalent("1", "2")  # starts the process that compares
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    for given in (text, rf"\boxed{{{text}}}"):
        assert not strict(given, "5") and not flexible(given, "5")
    assert time.process_time() - started < 5
