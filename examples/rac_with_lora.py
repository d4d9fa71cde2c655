"""RAC, adapters and transformers' Trainer: python examples/rac_with_lora.py ROWS MODEL OUT

Half of the rows show the model its own draft and ask for a correction; the label is the
reference.
"""

import sys

from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
)

import selfgen

data, name, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoModelForCausalLM.from_pretrained(name)
model = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear"))

rows = selfgen.rac_rows(data, model, tokenizer, correction_share=0.5, seed=0)
print(f"{len(rows)} rows")

trainer = Trainer(
    model,
    TrainingArguments(
        out,
        per_device_train_batch_size=4,
        num_train_epochs=1,
        learning_rate=2e-4,
        train_sampling_strategy="sequential",  # for the test; leave it out
        logging_steps=1,
        report_to="none",
    ),
    train_dataset=rows.remove_columns(["id", "epoch"]),
    data_collator=DataCollatorForSeq2Seq(tokenizer),  # pads labels with -100
)
trainer.train()
model.merge_and_unload().save_pretrained(out)
tokenizer.save_pretrained(out)
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print("losses", *losses)
