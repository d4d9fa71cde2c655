"""Rounds of BASH inside TRL: python examples/rounds.py ROWS.jsonl MODEL OUT

At the start of each epoch the model that is being trained makes the rows of that epoch.
"""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import selfgen

data, name, out = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(name)
tokenizer = AutoTokenizer.from_pretrained(name)

fresh = selfgen.FreshRows(data, tokenizer, beta=0.25, seed=0)
trainer = SFTTrainer(
    model,
    args=SFTConfig(
        out,
        per_device_train_batch_size=4,
        num_train_epochs=2,
        learning_rate=3e-5,
        max_length=None,
        dataset_kwargs={
            "skip_prepare_dataset": True
        },  # rows come when they are asked for
        remove_unused_columns=False,
        train_sampling_strategy="sequential",  # for the test; leave it out
        logging_steps=1,
        report_to="none",
        bf16=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    ),
    train_dataset=fresh.dataset,
    processing_class=tokenizer,
    callbacks=[fresh],
)
trainer.train()
trainer.save_model(out)
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print("losses", *losses)
