"""The registry of metrics, and modules of the library ``evaluate``: those that we ship, and
those that a user names."""

import os
import subprocess
import sys
from pathlib import Path

from selfgen.evaluation import evaluate_modules
from selfgen.evaluation.metrics import METRICS, main, right_or_wrong
from selfgen.evaluation.metrics import title as title_of

FOLDER = Path(evaluate_modules.__file__).parent

PROGRAM = """
import sys
import evaluate
from selfgen.core.errors import UserError
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
for each in (math, direct):
    try:
        each.compute(predictions=[], references=[])
        raise SystemExit("nothing was scored")
    except UserError as error:
        assert str(error).endswith("found no prediction, needed is one"), error
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


OWN = """
import sys
from pathlib import Path
import evaluate
from selfgen.core.errors import UserError
from selfgen.evaluation.metrics import metric

folder = Path(sys.argv[1])
HEAD = "import datasets, evaluate\\ntext = datasets.Value('string')\\n"
CLASS = '''
class {name}(evaluate.Metric):
    def _info(self):
        features = datasets.Features(predictions=text, references=text)
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {found}
'''


def write(file, *found):
    classes = [CLASS.format(name=f"M{i}", found=x) for i, x in enumerate(found)]
    (folder / file).write_text(HEAD + "".join(classes))


def refused(name):
    try:
        metric(name, folder).score("b a", {"reference": "a b"})
    except UserError as error:
        return str(error).replace(f"{folder}/", "")


write("sorted.py", "{'sorted': float(sorted(*predictions) == sorted(*references)), 'n': 1}")
assert metric("sorted.py", folder).score("b a", {"reference": "a b"}) == {"sorted": 1.0}
both = metric("sorted.py:n,sorted", folder)
assert list(both.columns) == ["n", "sorted"] and not both.right_or_wrong
allowed = "metrics: sorted.py: found no 'mean', allowed: sorted, n"
assert refused("sorted.py:mean") == allowed, refused("sorted.py:mean")
write("percent.py", "{'percent': 34.2, 'each': [1.0]}")
said = "metrics: percent.py: percent: found 34.2, allowed: a number from 0 to 1"
assert refused("percent.py") == said, refused("percent.py")
assert "each: found [1.0]" in refused("percent.py:each")
write("two.py", "{}", "{}")
assert "two.py: found 2 classes of evaluate.Metric, allowed: 1" in refused("two.py")
assert refused("none.py") == "metrics: cannot read none.py: No such file or directory"
"""


def test_a_metric_of_ones_own(tmp_path):
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(FOLDER.parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", OWN, str(tmp_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_metrics_agree_about_the_columns_that_they_share():
    titles = {}
    for name, metric in METRICS.items():
        assert main(name) in metric.columns
        for column, title in metric.columns.items():
            assert titles.setdefault(column, title) == title
            assert right_or_wrong(column) == metric.right_or_wrong
    assert titles["rougeL"] == "ROUGE-L" and main("rouge") == "rougeL"
    assert title_of("of-mine") == "of-mine"


def test_evaluation_is_cheap_to_import():
    heavy = (
        "{'evaluate', 'datasets', 'pandas', 'scipy', 'rouge_score', 'matplotlib',"
        " 'sacrebleu', 'math_verify'}"
    )
    modules = "selfgen.evaluation.scores, selfgen.graph.tables, selfgen.report.tabulate"
    program = f"import sys, {modules}; assert not {heavy} & set(sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
