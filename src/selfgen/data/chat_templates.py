"""Chat templates that stand in the place of a tokenizer's own, in Jinja.

A step gets its own through its spec, so an edit of one reruns the steps of its models alone.
"""

from __future__ import annotations

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
