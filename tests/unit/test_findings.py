"""What docs/findings.md and the README say in words, held against rows that are shipped."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from tests.seeds import EXCESS, Cell, Ends, of_claims, of_controls
from tests.shipped import REFERENCE, ROOT

Line = dict[str, str]

TASKS = {"group", "sort"}


def read(run: str, table: str) -> list[Line]:
    with (REFERENCE / run / "tables" / f"{table}.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


CLAIMS, STEPS = read("declared", "claims"), read("evidence", "steps")
LENGTHS = read("evidence", "lengths")
LAPTOP, SMALL = read("laptop", "claims"), read("synthetic", "ablations")
MAIN = read("evidence", "main")
WHOLE = "All steps right"
RANDOM, ONLINE = "Random tokens at BASH .25's", "Online scheduled sampling .25"
INLINE, REALIGNED = "RAC in line", "BASH .25 realigned"
RUN = {(x["method"], x["task"]) for x in MAIN if x["mean"]}


def under_each(
    found: dict[int, dict[Cell, Ends]], task: str, name: str, measure: str
) -> list[Ends]:
    """A difference and its ends under each seed that was run of both methods."""
    cell = (task, name, measure)
    ends = [lines[cell] for lines in found.values() if cell in lines]
    declared = found is of_claims() or name in (
        f"{one} minus {CONTINUED}" for one in (BASH, RAC)
    )
    assert len(ends) == (5 if declared else 3)
    return ends


def verdicts(method: str, measure: str, decoding: str = "direct") -> list[str]:
    """Of a declared comparison on both tasks."""
    return sorted(
        x["verdict"]
        for x in CLAIMS
        if (x["method"], x["measure"], x["decoding"]) == (method, measure, decoding)
    )


def always(
    found: dict[int, dict[Cell, Ends]], name: str, measure: str, sign: int, *tasks: str
) -> bool:
    """Whether no interval under any seed holds 0 or lies on the other side."""
    return all(
        sign * value > 0
        for task in tasks
        for _, *ends in under_each(found, task, name, measure)
        for value in ends
    )


def shown(
    found: dict[int, dict[Cell, Ends]], task: str, name: str, measure: str
) -> list[int]:
    """Under each seed the sign of a difference, or 0 where the interval holds it."""
    return [
        1 if low > 0 else -1 if high < 0 else 0
        for _, low, high in under_each(found, task, name, measure)
    ]


def score(method: str, task: str) -> float:
    (line,) = [
        x
        for x in MAIN
        if (x["method"], x["task"], x["decoding"]) == (method, task, "direct")
    ]
    return float(line["mean"])


def steps(method: str, task: str, measure: str = "excess") -> float:
    (line,) = [x for x in STEPS if (x["method"], x["task"]) == (method, task)]
    return float(line[measure])


def drawing(method: str, task: str) -> float:
    (line,) = [
        x
        for x in read("evidence", "online")
        if (x["method"], x["task"]) == (method, task)
    ]
    return float(line["pass_seconds"])


def best_plain(task: str) -> float:
    found = [
        float(x["mean"])
        for x in read("evidence", "tuning")
        if x["task"] == task and x["method"] in PLAIN
    ]
    return max(found)


def corrections() -> Iterator[Line]:
    yield from read("evidence", "corrections")


def rates(method: str) -> Iterator[bool]:
    for line in read("evidence", "tuning"):
        if line["method"] == method and line["chosen"] == "1":
            yield float(line["candidate"]) == 1e-5


BETAS = ("BASH .1", "BASH .25", "BASH .5", "BASH .75")
BOTH = (*BETAS, *(f"Random at {label}'s" for label in BETAS))


def ends(task: str, measure: str, end: str, *labels: str) -> list[float]:
    """An end of the interval of the difference to continued SFT, of small models."""
    found = [
        float(x[end])
        for x in SMALL
        if (x["experiment"], x["measure"]) == (task, measure)
        and x["label"] in labels
        and x["decoding"] in ("", "direct")
    ]
    assert found
    return found


def of_one(table: str, method: str) -> Line:
    """A method's first line of a table of the ablations."""
    return next(x for x in read("ablations", table) if x["method"] == method)


def knob(name: str, minus: str, measure: str = "score") -> float:
    """A difference in the ablations."""
    (line,) = [
        x
        for x in read("ablations", "controls")
        if (x["method"], x["minus"]) == (name, minus)
    ]
    return float(line[measure])


def falls(values: list[float]) -> bool:
    return all(a > b for a, b in pairwise(values))


def longer(lengths: list[Line]) -> bool:
    """Whether the excess of each trained method rises with the length."""
    return all(
        falls([-float(x["excess"]) for x in lengths if x["method"] == method])
        for method in {x["method"] for x in lengths} - {"base"}
    )


DOSES = ("beta-10", "beta-25", "beta-50", "beta-75", "beta-100")
SAME = [(name, "continued") for name in DOSES] + [
    *(("rounds-2", "sft-rounds-2"), ("rounds-3", "sft-rounds-3"), ("slow", "slow-sft")),
]
"""BASH in the ablations, and plain training that differs in nothing else."""
BASH, RAC = "BASH .25", "RAC"
CONTINUED = "SFT continued"
PLAIN = ("sft", "sft-continued", "sft-whole", "sft-wall")

SAID: dict[str, Callable[[], bool]] = {
    "with five seeds, and all four comparisons survive the correction for ten": lambda: (
        len(CLAIMS) == 10
        and {x["seeds"] for x in CLAIMS} == {"5"}
        and verdicts("bash", "whole") == verdicts("bash", "excess") == 2 * ["worse"]
    ),
    "It is so under each seed alone": lambda: (
        always(of_claims(), BASH, WHOLE, -1, *TASKS)
        and always(of_claims(), BASH, EXCESS, 1, *TASKS)
    ),
    "and against SFT continued from the same weights over the same steps": lambda: (
        always(of_controls(), f"{BASH} minus {CONTINUED}", WHOLE, -1, *TASKS)
        and always(of_controls(), f"{BASH} minus {CONTINUED}", EXCESS, 1, *TASKS)
    ),
    "RAC gives fewer right answers than plain fine-tuning on one task and is not": lambda: (
        verdicts("rac", "whole") == ["no difference shown", "worse"]
    ),
    "on neither is it shown to change exposure bias": lambda: (
        verdicts("rac", "excess") == 2 * ["no difference shown"]
    ),
    "than SFT continued under three seeds of five on `group` and under two on": lambda: (
        all(
            shown(of_controls(), task, f"{RAC} minus {CONTINUED}", WHOLE).count(-1)
            == seeds
            and 1 not in shown(of_controls(), task, f"{RAC} minus {CONTINUED}", WHOLE)
            for task, seeds in (("group", 3), ("sort", 2))
        )
    ),
    "Five seeds were run of the declared methods, three of all others": lambda: (
        {x["seeds"] for x in MAIN if x["mean"]} <= {"1", "3"}
    ),
    "by them SFT in one schedule is the best plain fine-tuning on both tasks": lambda: (
        {x["reference"] for x in read("evidence", "claims")} == {"sft-whole"}
    ),
    "On summaries and questions neither method is shown to differ": lambda: (
        {x["verdict"] for x in LAPTOP if x["task"] in ("summarization", "qa")}
        == {"no difference shown"}
    ),
    "BASH lowers exposure bias on one of three tasks, as random tokens\ndo there": lambda: (
        all(x < 0 for x in ends("extraction", "excess", "difference_high", *BOTH))
    ),
    "on the other two it is not shown to": lambda: all(
        x >= 0
        for task in ("chains", "noisy")
        for x in ends(task, "excess", "difference_high", *BETAS)
    ),
    "on none are answers shown to get better": lambda: all(
        x <= 0
        for task in ("extraction", "chains", "noisy")
        for x in ends(task, "exact", "difference_low", *BETAS)
    ),
    "On neither checked task does any method have more right answers than plain": lambda: (
        all(
            max(score(name, task) for name in PLAIN if (name, task) in RUN)
            >= max(float(x["mean"]) for x in MAIN if x["task"] == task and x["mean"])
            for task in TASKS
        )
    ),
    "and under the first at no rate, no dose and no number of rounds": lambda: (
        all(
            float(x["mean"]) < best_plain(x["task"])
            for x in read("evidence", "tuning")
            if x["method"] in ("bash", "bash-50")
        )
        and all(knob(name, minus, "score_high") < 0 for name, minus in SAME)
    ),
    "At a third of it BASH loses less than half as much": lambda: (
        knob("beta-25", "continued") / 2 < knob("slow", "slow-sft") < 0
    ),
    "With every step of β from .1 to 1 right answers fall, and from .1 to .75 the": lambda: (
        falls([knob(name, "continued") for name in DOSES])
        and falls([-knob(name, "continued", "excess") for name in DOSES[:-1]])
    ),
    "which changes less than 5% of the context, already costs right answers": lambda: (
        knob("beta-10", "continued", "score_high") < 0
        and float(of_one("main", "beta-10")["changed_share"]) < 0.05
    ),
    "BASH loses less, and still loses, to SFT at that rate": lambda: (
        knob("beta-25", "continued") < knob("slow", "slow-sft")
        and knob("slow", "slow-sft", "score_high") < 0
    ),
    "drawn anew in two or three rounds raise the excess by less": lambda: all(
        knob(f"rounds-{n}", "beta-25", "excess_high") < 0 for n in (2, 3)
    ),
    "plain training in as many rounds stays ahead by as much as in one": lambda: all(
        knob(f"rounds-{n}", f"sft-rounds-{n}") < knob("beta-25", "continued")
        for n in (2, 3)
    ),
    "none of them is shown to give more right answers than SFT continued or": lambda: (
        all(
            knob(name, "continued", "score_low") <= 0
            and knob(name, "continued", "excess_high") >= 0
            for name in ("drafts", "drafts-cold", "drafts-cut")
        )
    ),
    "Drafts at temperature 1.5 give fewer right answers": lambda: (
        knob("drafts-warm", "continued", "score_high") < 0
    ),
    "Whatever the drafts, the second turn breaks more right answers than it": lambda: (
        all(
            float(x["worsened"]) > float(x["improved"])
            for x in read("ablations", "corrections")
        )
    ),
    "greedy drafts break the fewest": lambda: (
        min(read("ablations", "corrections"), key=lambda x: float(x["broken"]))[
            "method"
        ]
        == "drafts-cold"
    ),
    "has the lowest excess of all trained models, and fewer right answers": lambda: (
        min(read("ablations", "steps"), key=lambda x: float(x["excess"]))["method"]
        == "inline"
        and knob("inline", "continued", "score_high") < 0
    ),
    "The longer the answer, the larger the excess, for all that were trained": lambda: (
        longer(read("ablations", "lengths"))
    ),
    "errs far more after the reference's steps": lambda: all(
        steps("realigned", task, "forced") > 5 * steps("bash", task, "forced")
        for task in TASKS
    ),
    "RAC's lower excess on `group` is for the most part that of SFT": lambda: (
        abs(steps("rac", "group") - steps("sft", "group"))
        < abs(steps("rac", "group") - steps("sft-whole", "group")) / 5
    ),
    "random tokens do more harm than own ones, under every seed": lambda: (
        always(of_controls(), f"{BASH} minus {RANDOM}", WHOLE, 1, "sort")
        and always(of_controls(), f"{BASH} minus {RANDOM}", EXCESS, -1, "sort")
    ),
    "own tokens raise the excess by more, and right answers go either way": lambda: (
        always(of_controls(), f"{BASH} minus {RANDOM}", EXCESS, 1, "group")
        and {1, -1} <= {*shown(of_controls(), "group", f"{BASH} minus {RANDOM}", WHOLE)}
    ),
    "under no seed do tokens that are drawn while training give more right answers": lambda: (
        not any(
            1 in shown(of_controls(), task, f"{ONLINE} minus {BASH}", WHOLE)
            for task in TASKS
        )
    ),
    "BASH errs more on both sides, and far more after its own steps": lambda: all(
        0
        < steps("bash", task, "forced_difference")
        < steps("bash", task, "free_difference") / 3
        for task in TASKS
    ),
    "SFT continued under every seed; right answers go either way": lambda: (
        always(of_controls(), f"{INLINE} minus {CONTINUED}", EXCESS, -1, "group")
        and {1, -1}
        <= {*shown(of_controls(), "group", f"{INLINE} minus {CONTINUED}", WHOLE)}
    ),
    "It has less excess than BASH under every seed": lambda: always(
        of_controls(), f"{REALIGNED} minus {BASH}", EXCESS, -1, *TASKS
    ),
    "On `group`, the longer the answer, the larger the excess, for every": lambda: (
        longer(LENGTHS)
    ),
    "drawing them while training takes two to three times as long": lambda: (
        {round(drawing("online", task) / drawing("bash", task)) for task in TASKS}
        == {2, 3}
    ),
    "and has no right answer under any": lambda: all(
        score("realigned", task) == 0 for task in TASKS
    ),
    "On the checked tasks the second turn breaks more right answers": lambda: all(
        float(x["worsened"]) > float(x["improved"]) for x in corrections()
    ),
    "are best at the lowest rate of the grid": lambda: all(
        all(rates(name)) and [*rates(name)]
        for name in ("bash", "bash-50", "onepass", "online")
    ),
}
"""Sentences of the page, and what of the rows makes each true."""


@pytest.mark.parametrize("sentence", SAID)
def test_what_is_said_is_what_was_found(sentence: str) -> None:
    page = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    assert " ".join(sentence.split()) in page
    assert SAID[sentence]()


def test_the_first_screen_says_no_more() -> None:
    """Each of its sentences stands in the findings, whose sentences are held above."""
    head = " ".join((ROOT / "README.md").read_text().partition("\n## ")[0].split())
    page = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    for said in (
        "BASH gives fewer right answers and makes exposure bias larger",
        "on both tasks, against the best plain fine-tuning, with five seeds",
        "RAC gives fewer right answers than plain fine-tuning on one task and is not shown to"
        " differ on the other",
        "On summaries and questions neither method is shown to differ from plain fine-tuning",
    ):
        assert said in head and said in page
