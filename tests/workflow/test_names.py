"""Names: whatever a configuration calls its parts, no two files and no two rows of a run are
one, or it is refused in one line."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snakemake.api import SnakemakeApi
from snakemake.io import WILDCARD_REGEX
from snakemake.settings.types import (
    ConfigSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)

from selfgen.core.errors import UserError
from selfgen.core.names import MAX_NAME, row_name
from selfgen.data.listing import folder_of
from selfgen.graph import tables
from selfgen.graph.inputs import INPUTS
from selfgen.graph.workflow import Workflow, open_workflow
from selfgen.methods.base import RESERVED
from tests.flow import CONFIGS, REPO, Flow

HERE = Path(__file__).parent
SMALL = yaml.safe_load((HERE / "small.yaml").read_text())
SYNTHETIC = yaml.safe_load((HERE / "synthetic.yaml").read_text())

# A walk over the graph of a configuration, by the rules of the real Snakefile


def rules_of(raw: dict[str, Any], folder: Path) -> tuple[list[Any], Workflow]:
    """The rules as Snakemake has read them, and what they ask."""
    file = folder / "drawn.yaml"
    file.write_text(yaml.safe_dump(raw))
    here = Path.cwd()
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[file]),
                snakefile=REPO / "Snakefile",
                workdir=folder,
            )._workflow
            rules = [rule for rule in workflow.rules if rule.name != "all"]
            return rules, workflow.globals["GRAPH"]
    finally:
        os.chdir(here)


def matches(
    template: str, path: str, given: dict[str, str]
) -> Iterator[dict[str, str]]:
    """Every way to read ``path`` by what a rule calls its output; ``given``: wildcards that
    are known. Snakemake's own regular expressions find one of them."""
    found = WILDCARD_REGEX.search(template)
    if not found:
        if template == path:
            yield given
        return
    before, after = template[: found.start()], template[found.end() :]
    if not path.startswith(before):
        return
    name, rest = found["name"], path[len(before) :]
    constraint = re.compile(found["constraint"] or ".+")
    for end in range(1, len(rest) + 1):
        value = rest[:end]
        if constraint.fullmatch(value) and given.get(name, value) == value:
            yield from matches(after, rest[end:], given | {name: value})


class Wildcards(dict[str, str]):
    """As Snakemake hands them to functions of a rule."""

    __getattr__ = dict.__getitem__


def fill(template: str, wildcards: dict[str, str]) -> str:
    return WILDCARD_REGEX.sub(lambda found: wildcards[found["name"]], template)


def flat(files: dict[str, Any]) -> Iterator[str]:
    for item in files.values():
        yield from [item] if isinstance(item, str) else item


def all_files(rules: list[Any], graph: Workflow) -> dict[str, tuple[Any, ...]]:
    """Every file that a run makes, with the one job that makes it: its outputs, logs and
    measured times, and the folders of what a hub sends. Fails where there are two."""
    made: dict[str, tuple[Any, ...]] = {}
    asked = [*flat(graph.results())]
    jobs = set()
    while asked:
        path = asked.pop()
        ways = [
            (rule.name, *sorted(found.items()))
            for rule in rules
            for output in rule.output
            if output.regex().match(path)
            for found in matches(str(output), path, {})
        ]
        if not ways:  # a file of the user's own
            continue
        assert len(ways) == 1, f"{path} is made by {ways}"
        if (job := ways[0]) in jobs:
            continue
        jobs.add(job)
        name, *pairs = job
        rule = next(rule for rule in rules if rule.name == name)
        wildcards = Wildcards(pairs)
        written = [*rule.output, *rule.log, *([rule.benchmark] * bool(rule.benchmark))]
        for template in written:
            file = fill(str(template), wildcards)
            assert made.setdefault(file, job) == job, f"{file}: {job} and {made[file]}"
            asked += [file] * (template in rule.output)
            if file.endswith(".listing"):
                made[str(folder_of(Path(file)))] = job
        if name in INPUTS:
            asked += flat(graph.inputs(name, wildcards))
    return made


def assert_apart(files: dict[str, tuple[Any, ...]]) -> None:
    """No two files where case does not count, none in the folder's place of another, and
    room in every name for what is added while a file is written."""
    assert len({file.casefold() for file in files}) == len(files)
    plain = {file.casefold() for file in files}
    for file in files:
        for folder in PurePosixPath(file.casefold()).parents:
            inside = str(folder) in plain
            # The files of a hub lie in a folder that is no file of anybody else.
            assert not inside, f"{file} lies in {folder}"
        for part in PurePosixPath(file).parts:
            assert len(f".{part}.{2**22}.partial".encode()) <= 255


# Configurations with drawn names

FINE = (
    *(
        "a",
        "b7",
        "x",
        "base",
        "none",
        "main",
        "verify",
        "samples",
        "details",
        "corrections",
    ),
    *("direct", "corrected", "seed0", "weights", "manifest", "manifests", "curve", "0"),
    *(
        "records",
        "answers",
        "shards",
        "2of4",
        "win-rates",
        "spec",
        "t.5",
        "2.8b",
        "1.0.0",
    ),
    *(
        "results",
        "passes",
        "all",
        "held-out-loss",
        "online",
        "leakage",
        "json",
        "r1",
        "x" * MAX_NAME,
    ),
)
AWKWARD = (
    *(
        "lead-1",
        "reference",
        "x.leakage",
        "t.json",
        "x.manifest",
        "a.r1",
        "b7.r1",
        "a.lr1e-05",
        "A",
        "Base",
    ),
    *(
        "..",
        ".",
        ".a",
        "a.",
        "-",
        "-a",
        "a-",
        "a--b",
        "a_b",
        "é",
        "",
        "a b",
        "a/b",
        "a\\b",
    ),
    *(
        "weights/x",
        "manifest.json",
        "x.shards",
        "{task}",
        "a,b",
        "a=b",
        "*",
        "a\x00b",
        "a\x1b",
    ),
    *("x" * (MAX_NAME + 1), "x" * 250, "seed0.parquet", "0.listing", "a.1.partial"),
)

ENDINGS = (
    ".json",
    ".leakage",
    ".leakage.json",
    ".r1",
    ".lr0.0001",
    ".parquet",
    ".listing",
    "/weights",
)


@st.composite
def several(draw: st.DrawFn, count: int) -> list[str]:
    """Distinct names, of which few are refused."""
    fine = st.one_of(
        st.sampled_from(FINE),
        st.tuples(st.sampled_from(FINE), st.sampled_from(FINE)).map("-".join),
    )
    names = draw(st.lists(fine, min_size=count, max_size=count, unique=True))
    if draw(st.integers(0, 7)) == 0:
        # One that is made of another, or of nothing.
        first, *_ = names
        piece = draw(st.sampled_from((*AWKWARD, *ENDINGS)))
        name = draw(st.sampled_from([piece, f"{first}{piece}", first.upper()]))
        if name not in names:
            names[-1] = name
    return names


PRICES = {"input_price": 1.0, "output_price": 1.0, "budget": 1.0}


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Two tasks and models, methods with rounds, corrections and rates that are tuned, a
    baseline that is chosen, comparisons, benchmarks, an oracle, downloads."""
    raw = copy.deepcopy(SMALL)
    stages = draw(several(2))
    raw["stages"] = dict(zip(stages, raw["stages"].values(), strict=True))
    base, sft, second, rounds, rac = draw(several(5))
    first, other = stages
    parts = draw(st.integers(1, 2))
    raw["methods"] = {
        base: {"label": "L0", "mix": "none"},
        sft: {"label": "L1", "mix": "plain", "parent": base, "stage": first},
        second: {"label": "L2", "mix": "plain", "parent": sft, "stage": other},
        rounds: {
            "label": "L3",
            "mix": "bash",
            "parent": sft,
            "stage": other,
            "rounds": parts,
        },
        rac: {"label": "L4", "mix": "rac", "parent": sft, "stage": other}
        | {"decodings": ["direct", "corrected"]},
    }
    task = raw["tasks"]["descriptions"]
    tasks, models, wins = draw(several(2)), draw(several(2)), draw(several(2))
    raw["tasks"] = dict.fromkeys(tasks, task)
    raw["models"] = dict.fromkeys(models, raw["models"]["tiny"])
    [judge, proxy] = draw(several(2))
    raw["judges"] = {
        judge: {"kind": "endpoint", "model": "m", **PRICES},
        proxy: {"kind": "likelihood"},
    }
    wanted: dict[str, Any] = {
        "oracle": {"method": sft},
        "win_rates": {
            wins[0]: {"judge": judge},
            wins[1]: {"judge": proxy, "against": sft},
        },
        "alpaca_eval": {"judge": judge, "tasks": [tasks[0]]},
        "gsm8k": {"tasks": tasks},
    }
    unwanted = draw(st.sets(st.sampled_from(sorted(wanted))))
    baseline: str | list[str] = second
    if draw(st.booleans()):
        raw["stages"][first] = {"batch_size": 4, "learning_rate": [1e-5, 1e-4, 5e-4]}
        baseline = [sft, second]
    raw["evaluation"] = {"baseline": baseline} | {
        key: section for key, section in wanted.items() if key not in unwanted
    }
    raw["seeds"] = draw(st.sampled_from([[0], [0, 1], [1, 11]]))
    return raw


def taken(raw: dict[str, Any]) -> bool:
    """Whether a configuration is taken; where it is not, it is refused in one line."""
    try:
        open_workflow(raw, [], REPO)
    except UserError as error:
        [line] = str(error).splitlines()
        assert line.startswith("config: ") and line.isprintable()
        return False
    return True


DRAWN = settings(
    max_examples=100,
    derandomize=True,  # how many are taken is counted
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def test_no_two_files_and_no_two_rows_are_one(tmp_path: Path) -> None:
    counts = {True: 0, False: 0}

    @DRAWN
    @given(configurations())
    def drawn(raw: dict[str, Any]) -> None:
        counts[fine := taken(raw)] += 1
        if not fine:
            return
        rules, graph = rules_of(raw, tmp_path)
        files = all_files(rules, graph)
        assert len(files) > 150
        assert_apart(files)
        cells = tables.collect(graph.graph).cells
        assert len(set(cells)) == len(cells)
        labels = graph.graph.config.methods
        rows = {
            (c.task, c.model, c.seed, row_name(labels[c.method].label, c.decoding))
            if c.method in labels
            else (c.task, c.model, c.seed, c.method)
            for c in cells
        }
        assert len(rows) == len(cells)

    drawn()
    assert counts[True] >= 10 and counts[False] >= 3, counts


def test_no_two_files_of_synthetic_experiments_are_one(tmp_path: Path) -> None:
    @DRAWN
    @given(several(2))
    def drawn(names: list[str]) -> None:
        experiments = SYNTHETIC["experiments"].values()
        raw = SYNTHETIC | {"experiments": dict(zip(names, experiments, strict=True))}
        if taken(raw):
            assert_apart(all_files(*rules_of(raw, tmp_path)))

    drawn()


@pytest.mark.parametrize("name", [*CONFIGS, "synthetic"])
def test_the_files_of_shipped_configurations(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFGEN_RESOURCES", str(tmp_path / "resources"))
    raw = yaml.safe_load((REPO / "config" / f"{name}.yaml").read_text())
    assert_apart(all_files(*rules_of(raw, tmp_path)))


GROUPS = (
    *("tasks", "models", "stages", "methods", "judges", "evaluation/win_rates"),
    *("preferences", "dialogues", "sources", "files"),
)


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in GROUPS for name in AWKWARD if name not in RESERVED]
    + [("methods", name) for name in RESERVED],
)
def test_names_that_are_refused(group: str, name: str) -> None:
    raw = copy.deepcopy(SMALL)
    node: dict[str, Any] = raw
    for part in group.split("/"):
        node = node.setdefault(part, {})
    wheel = {"package": "p", "version": "1", "filename": "p.whl", "sha256": "0" * 64}
    node[name] = {
        "judges": {"kind": "likelihood"},
        "evaluation/win_rates": {"judge": "nobody"},
        "preferences": {"file": "x", "rows": 1},
        "dialogues": {"train": "x", "test": "x", "train_rows": 1, "test_rows": 1},
        "sources": wheel,
        "files": {"path": "x"},
    }.get(group) or copy.deepcopy(next(iter(node.values())))
    if group == "methods":
        node[name]["label"] = "New"
    with pytest.raises(UserError) as caught:
        open_workflow(raw, [], REPO)
    [line] = str(caught.value).splitlines()
    assert line.isprintable()
    assert line.startswith(f"config: {group.replace('/', '.')}.")
    assert ": found " in line and "allowed" in line


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("tasks", ("x", "X")),
        ("tasks", ("x", "x" * 250)),
        ("models", ("t", "t.json")),
        ("models", ("t", "t/x")),
        ("methods", ("bash", "bash/seed0/weights")),
        ("methods", ("bash", "Bash")),
    ],
)
def test_the_walk_finds_what_is_refused(
    group: str, names: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the rule for names these would be one: the tests above can fail."""
    raw = copy.deepcopy(SMALL)
    section = raw[group].popitem()[1]
    raw[group] |= {names[0]: section, names[1]: section | {"label": "Other"}}
    if group != "methods":
        raw[group] = dict.fromkeys(names, section)
    assert not taken(raw)
    monkeypatch.setattr("selfgen.core.names.check", lambda group, names: None)
    with pytest.raises(AssertionError):
        assert_apart(all_files(*rules_of(raw, tmp_path)))


def test_a_method_called_as_the_first_sentence_is() -> None:
    raw = copy.deepcopy(SMALL)
    raw["methods"]["lead-1"] = dict(raw["methods"]["bash"], label="Mine")
    with pytest.raises(UserError) as caught:
        open_workflow(raw, [], REPO)
    assert str(caught.value) == (
        "config: methods.lead-1: found 'lead-1', the name of the first sentence of a prompt;"
        " allowed: any other"
    )
    # A task or a model may have the name: their files are others.
    raw = copy.deepcopy(SMALL)
    raw["models"]["lead-1"] = raw["models"].pop("tiny")
    raw["tasks"]["lead-1"] = raw["tasks"].pop("descriptions")
    assert taken(raw)


def test_a_list_that_names_one_thing_twice() -> None:
    for path, value in (
        ("tasks/descriptions/models", ["tiny", "tiny"]),
        ("tasks/descriptions/methods", ["base", "sft", "sft-continued", "sft"]),
        ("tasks/descriptions/metrics", ["rouge", "rouge"]),
        ("methods/bash/decodings", ["direct", "direct"]),
        ("evaluation/oracle", {"method": "sft", "lengths": [8, 8]}),
        ("evaluation/gsm8k", {"tasks": ["descriptions", "descriptions"]}),
    ):
        raw = copy.deepcopy(SMALL)
        node = raw
        *parents, last = path.split("/")
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
        with pytest.raises(UserError) as caught:
            open_workflow(raw, [], REPO)
        [line] = str(caught.value).splitlines()
        assert line.startswith(f"config: {path.replace('/', '.')}"), line
        assert "allowed are distinct ones" in line


HASH, OTHER = "0" * 64, "1" * 64
WHEEL = {"package": "p", "version": "1", "filename": "P-1.whl", "sha256": HASH}
HUB = {"repo": "a/b", "path": "x.jsonl"}


@pytest.mark.parametrize(
    ("sections", "where"),
    [
        ({"sources": {"a": WHEEL, "b": WHEEL | {"sha256": OTHER}}}, "sources.b"),
        (
            {
                "sources": {
                    "a": WHEEL,
                    "b": WHEEL | {"filename": "p-1.whl", "sha256": OTHER},
                }
            },
            "sources.b",
        ),
        ({"files": {"minilm": {"path": "x"}}}, "files.minilm"),
        (
            {
                "files": {
                    "a": {"url": "https://a/x.json", "sha256": HASH},
                    "b": {"url": "https://a/x.json", "sha256": "0" * 63 + "1"},
                }
            },
            "files.b",
        ),
        (
            {
                "files": {
                    "a": HUB | {"repo": "a--b/c", "revision": "0" * 40},
                    "b": HUB | {"repo": "a/b--c", "revision": "0" * 40},
                }
            },
            "files.b",
        ),
        (
            {"files": {"a": {"path": "results/records/descriptions.parquet"}}},
            "files.a.path",
        ),
        ({"files": {"a": {"path": "./x/../results"}}}, "files.a.path"),
        (
            {"files": {"a": {"url": f"https://a/{'x' * 201}", "sha256": HASH}}},
            "files.a.url",
        ),
        ({"files": {"a": {"url": "https://a/{x}", "sha256": HASH}}}, "files.a.url"),
        (
            {
                "unpinned": ["a/b"],
                "files": {
                    "a": HUB | {"revision": "x/y"},
                    "b": HUB | {"revision": "x--y"},
                },
            },
            "files.b",
        ),
    ],
)
def test_downloads_that_would_be_one_file(sections: dict[str, Any], where: str) -> None:
    raw = copy.deepcopy(SMALL) | sections
    with pytest.raises(UserError) as caught:
        open_workflow(raw, [], REPO)
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"config: {where}: found "), line


def test_tags_with_one_beginning_are_two_downloads() -> None:
    """Of a commit twelve digits name a download; of a tag or a branch all that it says."""
    raw = copy.deepcopy(SMALL) | {"unpinned": ["a/b"]}
    tags = {"a": "release-2024-01", "b": "release-2024-02"}
    raw["files"] = {k: HUB | {"revision": tag} for k, tag in tags.items()}
    graph = open_workflow(raw, [], REPO).graph
    assert {graph.sources.path(k) for k in tags} == {
        f"{graph.sources.resources}/hub/{name}.listing"
        for name in graph.sources.hubs()
        if name.startswith("a--b@release-2024-0")
    }
    assert graph.sources.path("a") != graph.sources.path("b")


@pytest.mark.parametrize(
    "column", ["", "a b", "1a", "é", "x" * 65, "id", "Seed", "METHOD"]
)
def test_columns_of_a_metric_that_are_refused(column: str, tmp_path: Path) -> None:
    raw = copy.deepcopy(SMALL)
    (tmp_path / "mine.py").touch()
    raw["tasks"]["descriptions"]["metrics"] = [f"mine.py:good,{column}"]
    with pytest.raises(UserError) as caught:
        open_workflow(raw, [], tmp_path)
    assert str(caught.value).startswith(
        "config: tasks.descriptions.metrics: mine.py:good,"
    )
    assert f"found the column {column!r}" in str(caught.value)


def test_the_most_awkward_names_that_are_allowed(bare: Flow) -> None:
    """Snakemake itself plans them."""
    raw = copy.deepcopy(SMALL)
    longest = "1-" * (MAX_NAME // 2 - 1) + "1x"
    assert len(longest) == MAX_NAME
    names = {"base": "0", "sft": "direct", "sft-continued": "none", "bash": longest}
    raw["methods"] = {names[k]: m for k, m in raw["methods"].items()}
    for method in raw["methods"].values():
        if "parent" in method:
            method["parent"] = names[method["parent"]]
    raw["models"] = {"manifest": raw["models"]["tiny"], "2.8b": raw["models"]["tiny"]}
    task = raw["tasks"]["descriptions"]
    raw["tasks"] = {"weights": task, longest: task, "t.5": task}
    raw["judges"] = {"1.5": {"kind": "likelihood"}}
    win_rates = {
        longest: {"judge": "1.5"},
        "none": {"judge": "1.5", "against": "direct"},
    }
    raw["evaluation"] = {"baseline": "none", "win_rates": win_rates}
    bare.write_config("awkward.yaml", raw)
    jobs = bare.rules("--configfile", "awkward.yaml")
    cells = 3 * 2 * 4
    assert jobs["generate_answers"] == jobs["score_answers"] == cells
    assert jobs["finetune"] == 3 * 2 * 3
    assert jobs["judge_answers"] == cells + 3 * 2 * 3
    file = f"results/models/{longest}/2.8b/{longest}/seed0/manifest.json"
    assert bare.rules(file, "--configfile", "awkward.yaml")["finetune"] == 2
