"""Online scheduled sampling inside TRL: python examples/online.py ROWS.jsonl MODEL OUT

Each batch is mixed by the model as it is then: what BASH does beforehand, for comparison.
"""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import selfgen

data, name, out = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(name)
tokenizer = AutoTokenizer.from_pretrained(name)

trainer = SFTTrainer(
    model,
    args=SFTConfig(
        out,
        per_device_train_batch_size=4,
        num_train_epochs=1,
        learning_rate=3e-5,
        max_length=None,
        remove_unused_columns=False,  # draws are addressed by the id of a row
        train_sampling_strategy="sequential",  # for the test; leave it out
        logging_steps=1,
        report_to="none",
        bf16=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    ),
    train_dataset=selfgen.sft_rows(data, tokenizer),
    processing_class=tokenizer,
    data_collator=selfgen.OnlineCollator(model, tokenizer, beta=0.25, seed=0),
)
trainer.train()
trainer.save_model(out)
losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
print("losses", *losses)
