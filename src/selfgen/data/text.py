"""Sentences and words of English texts."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER = _words(
    "Adm Amb Brig Capt Cdr Cmdr Col Cpl Det Dr Drs Ft Gen Gov Hon Insp Lt Maj Messrs Mlle"
    " Mme Mmes Mr Mrs Ms Msgr Mt Mts Mx Ofc Pfc Pres Prof Pte Pvt Rep Reps Rev Sen Sens Sgt"
    " Sr Sra Srta Ste Supt Wm Ch Fig Figs Op Vol Vols cf ch e.g fig figs i.e p pp viz vol"
    " vols vs v"
)
"""A name or a number follows these, so no sentence ends with them."""

_SELDOM = _words(
    "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Weds Thu Thur Thurs"
    " Fri Sat Sun Ala Ariz Ark Calif Colo Conn Del Fla Ga Ill Ind Kan Ky La Mass Md Mich Minn"
    " Miss Mo Mont Neb Nev Okla Ont Ore Pa Penn Que Tenn Tex Va Vt Wash Wis Wyo Assn Asst"
    " Ave Bldg Blvd Bros Cie Co Corp Dept Dist Ed Eds Esq Est Fr Hwy Inc Inst Intl Jr Ltd Mfg"
    " Natl Nos Ph Pl Plc Pt Pty Rd Soc Sq St Sta Univ al approx b c ca d ed eds est etc ff fl"
    " hrs lit mi nos r rev sq trans yrs"
)
"""A sentence ends with these only where the next begins with one of ``_OPENERS``."""

_BEFORE_NUMBERS = _words("No no art max min para sec")
"""Words as well: no sentence ends with them where a number follows."""

_INITIALS = re.compile(r"[A-Za-z](?:\.[A-Za-z])+|Ph\.D")
"""``U.S``, ``a.m`` or ``Ph.D``, without the last period: as ``_SELDOM``."""

_OPENERS = _words(
    "A After Although An And Another As At Because Before But By Despite During Each For From"
    " He Her His How However I If In It Its Later Many Meanwhile My Nobody None Nor Now On"
    " Once Our She Since So Some That The Their Then There These They This Those Though"
    " Through Thus To Today Until We What When Where Whether Which While Why With Yet You"
    " Your"
)
"""Words that often begin a sentence and seldom a name."""

_END = re.compile(r"""[.!?]["')\]”’]*+\s++(?=["'(\[“‘]?([A-Z0-9]\w*+))""")

_LONGEST = 12
"""Characters of an abbreviation at most: what stands before them is not read again, so that
a text without ends takes no longer than another."""

_BEFORE_A_WORD = re.compile(r"""[\s"'()\[\]“”‘’/–—-]""")


def squeeze(text: str) -> str:
    """The text on one line, with single spaces."""
    return re.sub(r"\s+", " ", text).strip()


def sentences(text: str) -> list[str]:
    """The sentences of an English text, in time linear in its length; abbreviations do not
    end one, but for those that may, before a word that often begins a sentence."""
    parts, start = [], 0
    for end in _END.finditer(text):
        if end[0][0] == "." and _abbreviates(text, start, end):
            continue
        parts.append(text[start : end.end()].strip())
        start = end.end()
    tail = text[start:].strip()
    return [*parts, tail] if tail else parts


def _abbreviates(text: str, start: int, end: re.Match[str]) -> bool:
    """Whether the period that ``end`` begins with is that of an abbreviation in a sentence
    which goes on; ``start``: where the sentence began."""
    before = text[max(start, end.start() - _LONGEST) : end.start()]
    word = _BEFORE_A_WORD.split(before)[-1]
    following = end[1]
    if word in _BEFORE_NUMBERS:
        return following[0].isdigit()
    if word in _NEVER or (len(word) == 1 and word.isupper()):
        return True
    if word in _SELDOM or _INITIALS.fullmatch(word):
        # "Gen. A. Ames": an initial is no article.
        initial = text[end.end(1) : end.end(1) + 1] == "."
        return following not in _OPENERS or initial
    return False


def lead(pieces: list[str], max_words: int, enough: int | None = None) -> str:
    """The first sentences that fit ``max_words`` words together, until they have ``enough``
    (if given); "" when none does."""
    kept, words = [], 0
    for piece in pieces:
        words += len(piece.split())
        if words > max_words:
            break
        kept.append(piece)
        if enough and words >= enough:
            break
    return " ".join(kept)


def too_long(text: str, max_words: int | None) -> bool:
    """Does the text have more than ``max_words`` words? No limit when None."""
    return max_words is not None and len(text.split()) > max_words
