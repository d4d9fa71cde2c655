"""The words around a record. Only the configuration reads this module.

A step gets its own template through its spec, so an edit of one template reruns the steps
of one task and leaves the others alone.
"""

from __future__ import annotations

TEMPLATES = {
    "news-headlines": "Write a one-line headline for this news story.\n\n{prompt}",
    "wikipedia-descriptions": (
        "Describe the subject of this text in one short phrase.\n\n{prompt}"
    ),
    "qa": "{prompt}",
    "gsm-symbolic": "{prompt}\nSolve step by step and end with '#### <number>'.",
    "gsm8k": "{prompt}\nSolve step by step and end with '#### <number>'.",
    "hendrycks-math": "{prompt}\nSolve step by step and put the answer in \\boxed{}.",
    "tldr": "{prompt}\n\nTL;DR:",
    "ultrachat": "{prompt}",
    "extraction": "{prompt}",
    "noisy-extraction": "{prompt}",
    "chains": "{prompt}",
}
"""The user message of each data set; our wording, but for TL;DR, which has that of
summarize_from_feedback_details."""

ANSWER_PREFIXES = {"tldr": " "}
"""What joins an answer to its prompt, where that is not nothing."""

CUT_AFTER = {"tldr": "POST: "}
"""Whose prompts, where they are too long, lose lines after this text, and not words."""

CORRECTION = "Compare this with the task and write the corrected, final answer."
"""The turn after the draft that asks for a correction; our wording (paper: unknown)."""

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n'"
    " + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Chat template of the random models, which bring none of their own."""

BARE = (
    "{% for message in messages %}{{ message['content'] + ('<|im_end|>'"
    " if message['role'] == 'assistant' else '<|im_start|>') }}{% endfor %}"
)
"""Chat template of the models whose vocabulary is a few characters: one token a turn."""

ZEPHYR = (
    "{{ bos_token }}{% if messages[0]['role'] != 'system' %}"
    "{{ '<|system|>\n' + eos_token + '\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n'"
    " + message['content'] + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
"""Zephyr's turns, with the empty system message that its recipe puts first by default
(alignment-handbook v0.3.0, recipes/zephyr-7b-beta, ``auto_insert_empty_system_msg``), and
the BOS that its tokenizer adds to the whole."""

PLAIN = (
    "{% for message in messages %}{{ message['content'] + (eos_token + '\n\n'"
    " if message['role'] == 'assistant' else '') }}{% endfor %}"
)
"""No turns: an answer follows its prompt at once, as in summarize_from_feedback_details."""

CHATS = {"chatml": CHATML, "zephyr": ZEPHYR, "plain": PLAIN}
"""Chat templates that may take the place of a tokenizer's own."""

JUDGE = """\
Two answers to one task follow. Decide which of them serves the reader of the task better: \
what it says is right, it has what matters, and it leaves out what does not.

### Task:
{{post}}

### Answer A:
{{summarya}}

### Answer B:
{{summaryb}}

### How to reply:
First one sentence that compares the two. Then, on a line of its own, your choice. Use \
exactly this form:
Comparison: <your sentence>
Preferred: <A or B>
"""
"""What a judge is asked about two answers; our wording, the places of the codebase."""
