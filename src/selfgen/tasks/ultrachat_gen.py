"""UltraChat's prompts that no recipe of SFT trains on (``train_gen``), and its test split.

Dialogues of ``ultrachat-train`` are what Zephyr's recipe trains on whole; a pass over these
rows is one over rows that its generator has not seen.
"""

from __future__ import annotations

from functools import partial

from selfgen.data.dataset import DataSet
from selfgen.data.pins import HubSpec
from selfgen.tasks import ultrachat

SOURCES = {
    "ultrachat-gen": HubSpec(*ultrachat.REPOSITORY, ("data/train_gen-*.parquet",)),
    "ultrachat-test": ultrachat.SOURCES["ultrachat-test"],
}

DATASET = DataSet(partial(ultrachat.load, names=SOURCES), SOURCES, published=True)
