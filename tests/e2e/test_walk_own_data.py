"""From `pip install` of the wheel, in an empty folder and without a checkout, to a table of a
stranger's own data."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from tests.tiny import tickets

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def selfgen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of the wheel, in an environment that has what the wheel depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "-w", str(folder), str(REPO)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("selfgen-*.whl")
    venv.create(folder / "env", with_pip=False)
    install = [
        *pip,
        "--python",
        str(folder / "env"),
        "install",
        "--no-deps",
        str(wheel),
    ]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    site = next((folder / "env").glob("lib/python*/site-packages"))
    others = next(Path(p) for p in sys.path if p.endswith("site-packages"))
    (site / "others.pth").write_text(f"{others}\n")
    return folder / "env" / "bin" / "selfgen"


def run(selfgen: Path, folder: Path, *arguments: str) -> str:
    private = ("PYTHONPATH", "VIRTUAL_ENV", "SELFGEN_RESOURCES")
    environment = {k: v for k, v in os.environ.items() if k not in private}
    done = subprocess.run(
        [str(selfgen), *arguments],
        cwd=folder,
        env=environment | {"XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


MODEL = """
from pathlib import Path
from selfgen.data.chat_templates import CHATML
from selfgen.models.base import ModelSpec, prepare
import selfgen
assert "site-packages" in selfgen.__file__, selfgen.__file__
shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
shape |= {"num_attention_heads": 4, "num_key_value_heads": 2}
prepare(ModelSpec("random", None, CHATML, "llama", shape, 0), None, Path("tiny"))
"""


@pytest.mark.slow
def test_from_the_wheel_to_a_table(selfgen: Path, tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in tickets(500)]
    (tmp_path / "tickets.jsonl").write_text("\n".join(lines))
    python = [str(selfgen.with_name("python")), "-c", MODEL]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(python, cwd=tmp_path, env=environment, check=True)

    started = time.monotonic()
    run(selfgen, tmp_path, "new", "tickets.jsonl", "tiny", "--minutes", "3")
    said = run(selfgen, tmp_path, "check", "tickets")
    assert "tasks.tickets: " in said and "models.base: LlamaForCausalLM" in said
    said = run(selfgen, tmp_path, "run", "tickets")
    print(f"from data to table: {time.monotonic() - started:.0f} s")
    for label in (
        "Base",
        "SFT continued",
        "BASH",
        "Random tokens",
        "RAC, corrected once",
    ):
        assert re.search(rf"^\| {label} \|", said, re.MULTILINE), said
    assert (tmp_path / "tickets" / "results" / "tables" / "main.tex").is_file()
    assert not (tmp_path / "results").exists()
    # A second call has nothing to do, and shows the table again.
    assert "Scores in percent" in run(selfgen, tmp_path, "run", "tickets")
