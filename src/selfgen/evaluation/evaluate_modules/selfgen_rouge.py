"""ROUGE as selfgen's tables report it, as an ``evaluate`` metric."""

import datasets
import evaluate

from selfgen.core.errors import UserError
from selfgen.evaluation.metrics.rouge import ROUGE, rouge


class SelfgenRouge(evaluate.Metric):
    """Mean F1 (0..1) of ROUGE-1, ROUGE-2 and ROUGE-L, stemmer on."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=__doc__,
            citation="",
            inputs_description="predictions and references: one text for each example",
            features=datasets.Features(
                predictions=datasets.Value("string"),
                references=datasets.Value("string"),
            ),
        )

    def _compute(
        self, predictions: list[str], references: list[str]
    ) -> dict[str, float]:
        if not predictions:
            raise UserError("selfgen_rouge: found no prediction, needed is one")
        scores = [rouge(p, r) for p, r in zip(predictions, references, strict=True)]
        return {name: sum(s[name] for s in scores) / len(scores) for name in ROUGE}
