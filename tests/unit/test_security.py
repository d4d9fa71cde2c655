"""Nothing that was downloaded is run: what our code may not contain, by ruff's rules for
security and, where it has none, read from its syntax."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.flow import REPO

from selfgen.graph.workflow import Workflow

SOURCES = sorted((REPO / "src").rglob("*.py"))
RULES = [REPO / "Snakefile", *sorted((REPO / "workflow").rglob("*.smk"))]
RULES.append(REPO / "workflow" / "Snakefile")

RUFF = ("S102", "S301", "S302", "S307", "S506", "S602", "S604", "S605")
"""``exec``, unpickling, marshal, ``eval``, ``yaml.load``, shells."""
RUNS = ("compile", "__import__")
UNPICKLES = ("pickle", "cPickle", "_pickle", "dill", "marshal", "shelve", "joblib")
UNPACKS = ("extractall", "unpack_archive")
IMPORTS = ("exec_module", "import_module", "run_module", "run_path")
OWN_CODE = {
    # A method or a metric of the user's own, from a file that the configuration names.
    ("src/selfgen/core/own_code.py", "exec_module"),
    # Or from a package that the user installed and names.
    ("src/selfgen/core/own_code.py", "import_module"),
    # The modules of a package of ours: data sets, metrics.
    ("src/selfgen/core/registry.py", "import_module"),
    # A verb, by a table of the package.
    ("src/selfgen/cli/main.py", "import_module"),
    # Those of the library's own names, when they are asked for.
    ("src/selfgen/__init__.py", "import_module"),
    # The module of a step, by another.
    ("src/selfgen/cli/step.py", "import_module"),
    # That of a loss that draws while it trains.
    ("src/selfgen/training/causal.py", "import_module"),
    # The module of a function of ours that runs with a time limit.
    ("src/selfgen/runtime/limited.py", "import_module"),
    # The libraries of steps, by a tuple of ours, and this package as ``python -m`` runs it:
    # whoever asks for a fork is this user, by a socket in a folder of theirs.
    ("src/selfgen/runtime/forks.py", "import_module"),
    ("src/selfgen/runtime/forks.py", "run_module"),
    ("src/selfgen/runtime/forks.py", "run_path"),
}


def faults(path: str, text: str) -> list[str]:
    """What of a source is not allowed, each with its line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        what = ""
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            roots = [name.partition(".")[0] for name in names]
            what = " ".join(f"import {root}" for root in roots if root in UNPICKLES)
        elif isinstance(node, ast.Call):
            what = _call(path, node)
        if what:
            found.append(f"{path}:{node.lineno}: {what}")
    return found


def _call(path: str, call: ast.Call) -> str:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name in RUNS or last in UNPACKS:
        return name
    if last in IMPORTS and (path, last) not in OWN_CODE:
        return name
    if name == "torch.load" and given.get("weights_only") != "True":
        return "torch.load without weights_only=True"
    if given.get("trust_remote_code", "False") != "False":
        return "trust_remote_code"
    # Given by name, or in a dict of arguments that says so.
    asked = "trust_remote_code" in given or None in given
    if last == "from_pretrained" and name.startswith("Auto") and not asked:
        return f"{name} without trust_remote_code=False"
    return "shell=True" if given.get("shell", "False") != "False" else ""


def ruff(*arguments: str, text: str = "", rules: str = ",".join(RUFF)) -> str:
    """What ruff says of files, or of a text as if it were one of the package."""
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "concise"]
    command += ["--select", rules] if rules else []
    done = subprocess.run(
        [*command, "--no-cache", *arguments],
        cwd=REPO,
        input=text,
        text=True,
        capture_output=True,
    )
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    return done.stdout


def test_ruff_finds_nothing_and_nobody_tells_it_to_look_away() -> None:
    assert "All checks passed" in ruff("--ignore-noqa", "src")


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("eval(text)", "S307"),
        ("exec(text)", "S102"),
        ("import pickle; pickle.loads(text)", "S301"),
        ("from dill import loads; loads(text)", "S301"),
        ("import shelve; shelve.open(path)", "S301"),
        ("import marshal; marshal.loads(text)", "S302"),
        ("import subprocess; subprocess.run(f'ls {x}', shell=True)", "S602"),
        ("import os; os.system('ls')", "S605"),
        ("import os; os.popen('ls')", "S605"),
        ("import yaml; yaml.load(text)", "S506"),
    ],
)
def test_ruff_as_it_is_configured_finds_what_it_looks_for(code: str, rule: str) -> None:
    said = ruff("--stdin-filename", "src/selfgen/x.py", "-", text=code, rules="")
    assert rule in RUFF and f" {rule} " in said


def test_our_code_runs_nothing_that_it_was_given() -> None:
    found = [
        fault
        for path in SOURCES
        for fault in faults(str(path.relative_to(REPO)), path.read_text())
    ]
    assert found == []
    for path, name in OWN_CODE:
        assert name in (REPO / path).read_text(), (
            "no longer there: take it off the list"
        )


def test_rules_quote_what_they_put_into_a_shell() -> None:
    """Names of files and specs come from a configuration; ``:q`` quotes them, but for the
    arguments of a step, which ``quoted`` does. Wildcards are constrained to names without a
    special character, numbers need no quotes."""
    text = "\n".join(path.read_text() for path in RULES)
    commands = re.findall(r"^\s+shell:\n\s+(.*)$", text, re.MULTILINE)
    assert len(commands) > 20 and set(commands) == {"STEP", "GUARDED_STEP"}
    found = re.findall(r"^\w*STEP = (.*?)\n(?=\w)", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    fields = re.findall(r"\{([^{}]+)\}", "".join(found))
    assert len(fields) == 6
    for field in fields:
        assert field.endswith(":q") or field in ("threads", "params.job"), field
    (job,) = re.findall(
        r"^    def job\(.*?\n    return", text, re.MULTILINE | re.DOTALL
    )
    step = "GRAPH.step(run or name, wildcards)"  # a name of ours
    assert f'return f"{{{step}}} {{GRAPH.quoted(said)}}"' in job


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
)
def test_a_shell_takes_the_arguments_of_a_step_as_they_are(
    arguments: list[str],
) -> None:
    said = Workflow(None, "", "").quoted(arguments)
    command = f"printf '%s\\0' {said}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    found = done.stdout.decode().split("\0")[:-1]
    assert found == (arguments or [""])


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pickle", "import pickle"),
        ("from dill import loads", "import dill"),
        ("torch.load(path)", "weights_only"),
        ("torch.load(path, weights_only=False)", "weights_only"),
        ("AutoModel.from_pretrained(x, trust_remote_code=True)", "trust_remote_code"),
        ("AutoConfig.from_pretrained(x)", "without trust_remote_code=False"),
        ("subprocess.run(f'ls {x}', shell=asked)", "shell=True"),
        ("archive.extractall()", "extractall"),
        ("shutil.unpack_archive(path)", "unpack_archive"),
        ("compile(text, name, 'exec')", "compile"),
        ("importlib.import_module(name)", "import_module"),
    ],
)
def test_the_reader_finds_what_it_looks_for(code: str, what: str) -> None:
    (fault,) = faults("x.py", code)
    assert what in fault
