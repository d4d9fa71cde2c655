"""Every command on every page: its program takes it, of files that are there; those that
take seconds are run."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser
from tests.flow import Flow, clone
from tests.tiny import tickets, tiny

from selfgen.cli.main import VERBS, main, parser

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
ASKED = ("make", "selfgen", "snakemake")
"""Programs whose arguments are held against what they take."""

OTHERS = {
    ".": "of the shell",
    "apptainer": "needs a builder and the image",
    "cd": "of the shell",
    "docker": "needs a daemon; the Dockerfile is linted: tests/unit/test_standards.py",
    "export": "of the shell",
    "pip": "downloads",
    "pre-commit": "writes hooks into the repository",
    "pytest": "these are the tests",
    "python": "a module of tests, of minutes, which must be there",
    "python3": "makes an environment",
    "ruff": "part of make lint",
    "run": ".ci/run, which runs the tests",
    "snakedeploy": "of this repository: tests/unit/test_standards.py",
    "snakefmt": "part of make lint",
}
"""Programs that are neither asked nor run, and why; the files of the repository that they
name must be there."""

OF_A_READER = {
    "vllm.yaml": "generation: {backend: vllm}\n",
    "more.yaml": "scale: ours\n",
}
"""Files that the page tells its reader to write."""

PLACEHOLDERS = re.compile(r"(?<![\w.-])(A|FILE|NAME)(?![\w=])|key=value|…|\.\.\.")
"""What a reader puts something else in place of."""

NOT_RUN = {
    "selfgen agreement": "asks an encoder; of rows: tests/golden/test_measures.py",
    "selfgen archive": "of a finished run: tests/workflow/test_archive.py",
    "selfgen export": "of a finished run: tests/workflow/test_export.py",
    "selfgen measure my-model": "a minute; with a task: tests/e2e/test_measured.py",
    "selfgen new": "takes longer than its page: tests/unit/test_docs_blocks.py",
    "selfgen check config/paper.yaml": "asks for a cluster's disk: tests/unit/test_check.py",
    "selfgen check tickets": "of what new makes: tests/unit/test_docs_blocks.py",
    "selfgen run": "trains: tests/e2e/test_walk_own_data.py",
    "selfgen report tickets": "of a finished run: tests/e2e/test_report_page.py",
    "selfgen verify": "of a finished run: tests/unit/test_reproduced.py",
    "snakemake --report": "of a finished run: tests/e2e/test_smoke.py",
    "snakemake --cores 1 --configfile config/paper.yaml": (
        "draws a table of a finished run; small: tests/workflow/test_paper.py"
    ),
}
"""How commands of ours begin that are parsed and not run, why, and which test runs the
like."""


def split(text: str) -> Iterator[str]:
    """Commands of a line of the shell, or of several that go on."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in line.partition(" #")[0].split(" && "):
            if part.strip() and not part.startswith("#"):
                yield " ".join(part.split())


def in_blocks(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.M | re.S)
    return [one for block in blocks for one in split(block)]


def in_text(page: Path) -> list[str]:
    """Commands with arguments, in sentences and tables."""
    names = "|".join((*ASKED, "pip", "pytest", "python3?", "ruff", "snakedeploy"))
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    said = re.findall(rf"`((?:\.venv/bin/)?(?:{names}) [^`]+|\.ci/run)`", text)
    return [one for part in said for one in split(" ".join(part.split()))]


def commands() -> list[tuple[str, str]]:
    """Page and command, once each."""
    found = (
        (page.name, x) for page in PAGES for x in (*in_blocks(page), *in_text(page))
    )
    return list(dict.fromkeys(found))


def of_program(command: str) -> tuple[str, list[str]]:
    name, *argv = shlex.split(command)
    return name.rpartition("/")[2], [word for word in argv if word != "…"]


@pytest.mark.parametrize("page, command", commands())
def test_its_program_takes_it(page: str, command: str) -> None:
    name, argv = of_program(command)
    if name == "make":
        text = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = re.findall(r"^([\w./-]+):", text, re.M)
        variables = re.findall(r"^(\w+) \?=", text, re.M)
        given = {word.partition("=")[0] for word in argv if "=" in word}
        assert {word for word in argv if "=" not in word} <= set(targets)
        assert given <= set(variables)
    elif name == "selfgen":
        assert argv[0] in VERBS
        # A verb by itself is its name.
        if len(argv) > 1 and "--help" not in argv:
            parser([argv[0]]).parse_args(argv)
    elif name == "snakemake":
        get_argument_parser().parse_args(argv)
    else:
        assert name in OTHERS
    if "-m" in argv and name.startswith("python") and "venv" not in argv:
        assert importlib.util.find_spec(argv[argv.index("-m") + 1])
    for word in argv:
        file = word.rpartition("=")[2]
        if PLACEHOLDERS.search(file):
            continue
        if re.fullmatch(r"(config|envs|examples|profiles|tests)/\S+", file):
            assert (ROOT / file).exists()
        elif name == "snakemake" and word.endswith(".yaml") and "=" not in word:
            assert word in OF_A_READER


def ours() -> list[str]:
    """Commands of ours with all that they need, once each."""
    found = [x for page in PAGES for x in in_blocks(page)]
    # In the text a verb by itself is its name.
    said = (x for page in PAGES for x in in_text(page))
    found += (x for x in said if not re.fullmatch(r"\S*selfgen \w+", x))
    return [
        command
        for command in dict.fromkeys(found)
        if of_program(command)[0] in ASKED
        and not PLACEHOLDERS.search(command.removesuffix(" …"))
    ]


def run() -> list[str]:
    return [x for x in ours() if not x.startswith(tuple(NOT_RUN))]


def test_what_is_not_run_has_a_reason_that_holds() -> None:
    for begin, why in NOT_RUN.items():
        assert [x for x in ours() if x.startswith(begin)], begin
        path = why.rpartition(": ")[2]
        assert (ROOT / path).is_file(), path
    assert len(run()) > len(ours()) / 2


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, forks: Path | None
) -> Iterator[Flow]:
    """A clone with what pages name: a model, rows, files that a reader writes."""
    flow = clone(tmp_path_factory.mktemp("place") / "clone")
    flow.server = forks
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(ROOT / name, flow.root)
    tiny(flow.root / "my-model")
    rows = "".join(json.dumps(row) + "\n" for row in tickets(60))
    (flow.root / "tickets.jsonl").write_text(rows, encoding="utf-8")
    for name, text in OF_A_READER.items():
        (flow.root / name).write_text(text, encoding="utf-8")
    yield flow


@pytest.fixture
def shipped(place: Flow) -> Iterator[Flow]:
    """The same with results: those of the runs that are shipped."""
    reference = ROOT / "docs" / "reference"
    where = {"laptop": place.root / "results"}
    where["synthetic"] = place.root / "runs" / "synthetic" / "results"
    for name, folder in where.items():
        shutil.copytree(reference / name, folder)
    yield place
    for folder in where.values():
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("command", run())
def test_it_runs(
    command: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake and make without doing the jobs."""
    name, argv = of_program(command)
    of_results = command.startswith("selfgen report")
    flow: Flow = request.getfixturevalue("shipped" if of_results else "place")
    if name == "snakemake":
        done = flow.plain("-n", *argv)
        assert done.returncode == 0, done.stdout
    elif name == "make":
        call = ["make", "--dry-run", *argv]
        subprocess.run(call, cwd=flow.root, check=True, capture_output=True)
    elif "--help" in argv:
        with pytest.raises(SystemExit, match="0"):
            main(argv)
    else:
        monkeypatch.chdir(flow.root)
        assert main(argv) == 0
