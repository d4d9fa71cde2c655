"""Rows that are drawn anew while another trainer trains: each epoch, or each batch.

For ``transformers.Trainer`` and TRL's ``SFTTrainer``, with ``remove_unused_columns=False``,
``dataloader_num_workers=0`` and, for TRL, ``dataset_kwargs={"skip_prepare_dataset": True}``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import datasets
import torch
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling
from selfgen.generation import ends, forced
from selfgen.generation.spec import Drawing
from selfgen.library.models import opened
from selfgen.library.records import Data, records
from selfgen.library.rows import bash_rows
from selfgen.mixing.rows import IGNORE

Make = Callable[..., datasets.Dataset]


class FreshRows(TrainerCallback):
    """Rounds without our workflow: at the start of each epoch the model that is being trained
    makes the rows of that epoch.

    ``dataset`` is the training data of the trainer, which gets this as a callback too:

    >>> fresh = FreshRows(data, tokenizer, beta=0.25)
    >>> SFTTrainer(model, train_dataset=fresh.dataset, callbacks=[fresh], ...)

    Args:
        data: as in ``bash_rows``.
        make: ``bash_rows`` or ``rac_rows``; ``options`` are its own. Its rows must be as many
            as records (``correction_rows="replace"``).
        seed: of the first epoch; each has the next one.
        every: epochs that rows stay.
    """

    def __init__(
        self,
        data: Data,
        tokenizer: Any,
        make: Make = bash_rows,
        *,
        seed: int = 0,
        every: int = 1,
        **options: Any,
    ) -> None:
        columns, skip = (
            options.pop("columns", None),
            options.pop("skip_bad_rows", False),
        )
        self.records = [
            {
                "id": record["id"],
                "prompt": [
                    *record["history"],
                    {"role": "user", "content": record["prompt"]},
                ],
                "reference": record["reference"],
            }
            for record in records(data, columns, skip_bad_rows=skip)
        ]
        self.tokenizer, self.make, self.options = tokenizer, make, options
        self.seed, self.every = seed, every
        self.rows: datasets.Dataset | None = None
        self.epoch = -1
        places = {"place": list(range(len(self.records)))}
        self.dataset = datasets.Dataset.from_dict(places).with_transform(self._at)

    def on_epoch_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **others: Any
    ) -> None:
        """Called by the trainer.

        Raises UserError: workers that would keep old rows, weights that processes share.
        """
        if args.dataloader_num_workers:
            raise UserError(
                f"dataloader_num_workers: found {args.dataloader_num_workers}, allowed: 0,"
                " for workers keep the rows that they have"
            )
        self.epoch += 1
        if self.epoch % self.every == 0:
            self.rows = self._made(model)

    def _made(self, model: Any) -> datasets.Dataset:
        model = whole(model)
        made = self.make(
            self.records,
            model,
            self.tokenizer,
            seed=self.seed + self.epoch,
            **self.options,
        )
        if len(made) != len(self.records):
            raise UserError(
                f"rows: found {len(made)} of {len(self.records)} records, allowed: one each"
            )
        return made

    def _at(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        if self.rows is None:
            # Trainers look at a row before the first epoch.
            blank = {"labels": IGNORE, "input_ids": 0, "attention_mask": 1}
            return {name: [[x]] * len(batch["place"]) for name, x in blank.items()}
        found = self.rows.select(batch["place"])
        return {n: found[n][:] for n in ("labels", "input_ids", "attention_mask")}


class OnlineCollator:
    """Online scheduled sampling: a collator that draws the mixed answers of each batch by the
    model as it is then. Rows are those of ``sft_rows``; labels stay the reference. Trainers
    fetch a batch ahead, so the model that draws is one step behind.

    Args:
        model: the one that the trainer trains.
        beta, sampling, seed: as in ``bash_rows``. A row's draws are addressed by its id and
            by how often it was met.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        beta: float = 0.25,
        seed: int = 0,
        sampling: Sampling | None = None,
    ) -> None:
        self.model, self.tokenizer, self.seed = model, tokenizer, seed
        self.drawing = Drawing(
            kind="forced", sampling=sampling or Sampling(temperature=1.0), beta=beta
        )
        self.met: dict[str, int] = {}

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """A padded batch.

        Raises UserError: rows without ids or labels, weights that processes share.
        """
        model = whole(self.model)
        references = [self._reference(row) for row in rows]
        with opened(model, self.tokenizer, Device()) as (own, words), torch.no_grad():
            made = forced.mixed(
                own,
                references,
                self.drawing,
                self.seed,
                ends.banned(own, words),
                ends.stops(own, words),
            )
            tokens = {row["id"]: row["tokens"] for row in made}
        mixed = [
            row | {"input_ids": [*reference.prompt_ids, *tokens[reference.id]]}
            for row, reference in zip(rows, references, strict=True)
        ]
        return padded(mixed, self.tokenizer)

    def _reference(self, row: dict[str, Any]) -> forced.Reference:
        if "id" not in row:
            raise UserError(
                "rows: found none with an id; allowed: those of selfgen.sft_rows, and"
                " remove_unused_columns=False"
            )
        labels, ids = row["labels"], row["input_ids"]
        start = next(
            (t for t, label in enumerate(labels) if label != IGNORE), len(labels)
        )
        if start in (0, len(labels)) or IGNORE in labels[start:]:
            raise UserError(
                f"rows: found {row['id']} without a prompt and a whole answer"
            )
        epoch = self.met.get(row["id"], 0)
        self.met[row["id"]] = epoch + 1
        return forced.Reference(row["id"], epoch, ids[:start], ids[start:])


def padded(rows: Sequence[dict[str, Any]], tokenizer: Any) -> dict[str, torch.Tensor]:
    """Rows as a batch [rows, longest], padded on the right."""
    from torch.nn.utils.rnn import pad_sequence

    pad = tokenizer.pad_token_id
    filled = {
        "input_ids": tokenizer.eos_token_id if pad is None else pad,
        "labels": IGNORE,
        "attention_mask": 0,
    }
    return {
        name: pad_sequence(
            [torch.tensor(row[name]) for row in rows], True, padding_value=value
        )
        for name, value in filled.items()
    }


def whole(model: Any) -> Any:
    """A model without what spreads it over processes.

    Raises UserError: its weights are shared, so that no process has all of them.
    """
    inner = getattr(model, "module", model)
    if any(isinstance(weight, DTensor) for weight in inner.parameters()):
        raise UserError(
            "model: found weights that processes share (FSDP), which cannot draw in one;"
            " allowed: whole copies (DDP)"
        )
    return inner
