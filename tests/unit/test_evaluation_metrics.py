"""The ``evaluate`` wrappers load offline, by path and by class, and agree with ours."""

import os
import subprocess
import sys
from pathlib import Path

from selfgen.evaluation import evaluate_modules

FOLDER = Path(evaluate_modules.__file__).parent

PROGRAM = """
import sys
import evaluate
from selfgen.evaluation.evaluate_modules.selfgen_rouge import SelfgenRouge

folder, cache = sys.argv[1:]
math = evaluate.load(f"{folder}/selfgen_math.py", cache_dir=cache)
found = math.compute(predictions=["#### 7", "it is 8", "9"], references=["7", "8", "1"])
assert found == {"strict": 1 / 3, "flexible": 2 / 3}, found
texts = dict(predictions=["the cats sat", "a"], references=["the cat slept", "a"])
loaded = evaluate.load(f"{folder}/selfgen_rouge.py", cache_dir=cache)
direct = SelfgenRouge(cache_dir=cache)
assert loaded.compute(**texts) == direct.compute(**texts)
assert abs(direct.compute(**texts)["rougeL"] - 5 / 6) < 1e-9
"""


def test_metrics_load_offline_by_path_and_by_class(tmp_path):
    # In a process of its own: importing evaluate takes seconds and writes to HF_HOME.
    source = FOLDER.parents[2]
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(source),
    }
    command = [sys.executable, "-c", PROGRAM, str(FOLDER), str(tmp_path / "cache")]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_evaluation_is_cheap_to_import():
    heavy = "{'evaluate', 'datasets', 'pandas', 'scipy', 'rouge_score', 'matplotlib'}"
    modules = "selfgen.evaluation.scores, selfgen.graph.tables, selfgen.report.tabulate"
    program = f"import sys, {modules}; assert not {heavy} & set(sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
