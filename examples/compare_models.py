"""Exposure bias of two models: python examples/compare_models.py ROWS.jsonl MODEL OTHER OUT

Both are read on the same prompts with the same draws, so their differences have intervals.
"""

import sys

import selfgen

data, first, second, out = sys.argv[1:]
found = selfgen.measure(first, None, data, name="first", prompts=64)
other = selfgen.measure(second, None, data, name="second", prompts=64)
both = found.against(other)
print(both)
print(both.table()[["measure", "model", "value", "low", "high", "difference"]])
print("page", both.save(out))
