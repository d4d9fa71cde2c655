"""BASH on your own rows with TRL: python examples/bash_with_trl.py ROWS.jsonl MODEL OUT

Rows have `prompt` and `completion`, or `messages`. TRL leaves a `labels` column as it is: the
context holds the model's own tokens, the labels are the reference.
"""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import selfgen

data, name, out = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(name)
tokenizer = AutoTokenizer.from_pretrained(name)

rows = selfgen.bash_rows(data, model, tokenizer, beta=0.25, seed=0)
changed = sum(map(sum, rows["changed"])) / sum(
    sum(label != -100 for label in labels) for labels in rows["labels"]
)
print(f"{len(rows)} rows; {changed:.1%} of the context tokens are the model's own")

trainer = SFTTrainer(
    model,
    args=SFTConfig(
        out,
        per_device_train_batch_size=4,
        num_train_epochs=1,
        learning_rate=3e-5,
        max_length=None,  # rows have their length already
        train_sampling_strategy="sequential",  # for the test; leave it out
        logging_steps=1,
        report_to="none",
        bf16=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    ),
    train_dataset=rows,
    processing_class=tokenizer,
)
trainer.train()
trainer.save_model(out)
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print("losses", *losses)
