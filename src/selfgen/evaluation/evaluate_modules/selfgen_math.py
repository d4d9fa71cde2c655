"""GSM8K accuracy, strict and flexible, as an ``evaluate`` metric."""

import datasets
import evaluate

from selfgen.core.errors import UserError
from selfgen.evaluation.metrics.numbers import flexible, strict


class SelfgenMath(evaluate.Metric):
    """Share (0..1) of the texts whose final number is the reference answer."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=__doc__,
            citation="",
            inputs_description="predictions: solutions; references: final answers",
            features=datasets.Features(
                predictions=datasets.Value("string"),
                references=datasets.Value("string"),
            ),
        )

    def _compute(
        self, predictions: list[str], references: list[str]
    ) -> dict[str, float]:
        pairs = list(zip(predictions, references, strict=True))
        if not pairs:
            raise UserError("selfgen_math: found no prediction, needed is one")
        return {
            "strict": sum(strict(p, r) for p, r in pairs) / len(pairs),
            "flexible": sum(flexible(p, r) for p, r in pairs) / len(pairs),
        }
