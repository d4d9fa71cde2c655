"""What the ecosystem asks of a repository: the workflow catalog, citation, the image."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.flow import Flow
from tests.standards import ROOT, run

from selfgen import __version__
from selfgen.core.citation import codemeta

CATALOG = ROOT / ".snakemake-workflow-catalog.yml"
HUB = "https://github.com/"


def test_the_workflow_catalog_lists_it() -> None:
    """The rules for any workflow, then those for one with standardised usage."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme and "workflow" in readme
    assert list((ROOT / "workflow" / "rules").glob("*.smk"))
    for name in ("workflow/Snakefile", "config/README.md", "config/config.yaml"):
        assert (ROOT / name).is_file(), name
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_catalog_s_usage_is_what_the_workflow_does(bare: Flow) -> None:
    usage = yaml.safe_load(CATALOG.read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    deployment = usage["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda"}
    snakefile = (ROOT / "workflow" / "Snakefile").read_text()
    assert usage["report"] is ("\nreport:" in snakefile)
    done = bare.snakemake("-n", "--sdm", "conda")
    said = done.stdout.splitlines()[-1]
    assert deployment["conda"] is not said.startswith(
        "--software-deployment-method: found conda, allowed: none"
    )
    assert "container:" not in snakefile and deployment["apptainer"] is False


def test_codemeta_has_the_paper_and_the_version() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    made = json.loads(codemeta(text))
    assert made == json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    assert made["version"] == __version__
    paper = made["referencePublication"]
    assert paper["author"][-1] == {
        "@type": "Person",
        "givenName": "Rasool",
        "familyName": "Fakoor",
    }
    assert (paper["datePublished"], made["author"][0]["@type"]) == (
        "2025-01",
        "Organization",
    )


@pytest.mark.needs("standards")
def test_the_citation_is_valid_and_codemeta_is_as_cffconvert_s() -> None:
    assert run("cffconvert", "--validate").returncode == 0
    theirs = json.loads(run("cffconvert", "-f", "codemeta").stdout)
    ours = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
    for key in ("@type", "name", "description", "version", "license"):
        assert ours[key] == theirs[key]


@pytest.mark.needs("standards")
def test_the_dockerfile_has_no_lint() -> None:
    done = run("hadolint", "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_of_the_pins_and_gets_what_the_package_is_built_of() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "-r envs/requirements.txt" in dockerfile
    python = yaml.safe_load((ROOT / "envs/selfgen.yaml").read_text())["dependencies"][0]
    assert re.search(r"^FROM python:([\d.]+)-", dockerfile, re.MULTILINE).group(
        1
    ) == python.removeprefix("python=")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["force-include"], project["project"]["readme"], "pyproject.toml"}
    needed |= {package.partition("/")[0] for package in wheel["packages"]}
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == needed


@pytest.mark.needs("standards")
@pytest.mark.slow
def test_snakedeploy_deploys_it(bare: Flow, tmp_path: Path) -> None:
    """As docs/deploy.md says, from a hub that is a folder here, which git is told of; then a
    plan and a job of the deployed workflow."""
    hosted = bare.copy(tmp_path / "hub" / "me" / "selfgen").root
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org"]
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-q", "-m", "All"],
        ["tag", "v1"],
    ):
        _do([*git, *command], hosted)
    hub = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path / 'hub'}/.insteadOf",
        "GIT_CONFIG_VALUE_0": HUB,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        # Of a package in a checkout they are the checkout's, where some may lie already.
        "SELFGEN_RESOURCES": str(tmp_path / "resources"),
    }
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"^snakedeploy (.+)$", page, re.MULTILINE)
    arguments = said.replace("OWNER", "me").replace("TAG", "v1").split()
    done = run("snakedeploy", *arguments, cwd=tmp_path, **hub)
    deployed = Flow(tmp_path / "my-run")
    assert done.returncode == 0, done.stdout
    # The edited configuration counts, and nothing of the default one.
    (deployed.root / "config/config.yaml").write_bytes(
        (ROOT / "tests/workflow/small.yaml").read_bytes()
    )
    plan = deployed.plain("-n", **hub, PYTHONPATH=str(ROOT / "src"))
    assert plan.returncode == 0, plan.stdout
    assert "28 jobs would run" in plan.stdout, plan.stdout
    job = ("--cores", "1", "results/base/tiny")
    done = deployed.plain(*job, **hub, PYTHONPATH=str(ROOT / "src"))
    assert done.returncode == 0, done.stdout
    assert (deployed.root / "results/base/tiny/model.safetensors").is_file()


def _do(command: list[str], folder: Path) -> None:
    import subprocess

    subprocess.run(command, cwd=folder, check=True, capture_output=True)
