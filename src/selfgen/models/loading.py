"""Models as ``from_pretrained`` reads them: loaded, placed on a device and saved."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.json_files import refuse_adapter, refuse_damaged
from selfgen.core.spec import Device
from selfgen.models import finite

log = logging.getLogger(__name__)

UNBUILT = (AttributeError, ImportError, KeyError, TypeError, ValueError)
"""What configurations and classes of models raise: a package that is missing, a value that
does not fit, a class that does not know its own configuration."""

SMALL_MODEL = 5_000_000
"""With fewer parameters fp32 is faster than bf16 on a CPU (measured), and nothing is gained
from prepacked matrices."""

WORTH = 1.2
"""So much faster must products be for rounding to bf16."""

OPERATIONS, RUNS = 4e8, 7
"""Of the products that are timed: about so many operations each, the fastest of the runs."""


def load(folder: Path | str) -> Any:
    """The causal LM in ``folder`` in fp32, on the CPU.

    Raises UserError: there is none, transformers cannot build it, or its weights cannot be
    read, are not finite, or are not all there.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    config_of(folder)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except SafetensorError:
        _check_files(folder)
        raise
    except UNBUILT as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"{folder}: transformers cannot build this model: {said}; allowed: what"
            " AutoModelForCausalLM loads"
        ) from error
    # transformers would go on with random numbers in their place.
    reshaped = {name for name, *_ in info["mismatched_keys"]}
    if absent := sorted({*info["missing_keys"]} | reshaped):
        raise UserError(
            f"{folder}: {len(absent)} of the weights of {type(model).__name__} are missing"
            f" or of another shape, {absent[0]} among them; copy or fetch it again"
        )
    if finite.broken(model):
        _check_files(folder)  # names the file
        finite.check(model, str(folder))
    return model


def _check_files(folder: Path | str) -> None:
    """Raises UserError, which names the file, where weights are damaged or not finite."""
    for path in sorted(Path(folder).glob("*.safetensors")):
        finite.check_file(path)


def config_of(folder: Path | str) -> Any:
    """What the ``config.json`` of a model's folder says, as transformers reads it.

    Raises UserError, which names the file: it is missing, damaged, or of no known model;
    or the folder holds adapters.
    """
    from transformers import AutoConfig

    refuse_adapter(folder)
    if not Path(folder, "config.json").exists():
        raise UserError(f"{folder}: no model here (config.json is missing)")
    here = {"trust_remote_code": False, "local_files_only": True}
    try:
        return AutoConfig.from_pretrained(folder, **here)
    except Exception as error:  # each architecture has errors of its own
        refuse_damaged(folder)
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"{Path(folder, 'config.json')}: cannot be read without running its code: {said}"
        ) from None


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Weights and tokenizer as ``from_pretrained`` reads them.

    Raises UserError: weights are not finite; then nothing is written.
    """
    finite.check(model, "model")
    model.save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)


def place(spec: Device, model: Any) -> tuple[str, str]:
    """``(device, precision)`` for a model, whose weights may be on ``meta``.

    Precision is ``fp32`` or ``bf16``; ``auto`` takes bf16 where a product of the model's
    own shapes is at least ``WORTH`` times as fast in it, and the model is not tiny.
    """
    import torch

    device = spec.device
    here = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        device = next(name for name, is_here in here.items() if is_here)
    elif not here[device]:
        raise UserError(
            f"device: found {device}, but torch sees no GPU; allowed: auto, cpu"
        )
    precision, said = spec.precision, ""
    if precision == "auto":
        ratio = _gain(model, device) if model.num_parameters() >= SMALL_MODEL else 1.0
        precision = "bf16" if ratio >= WORTH else "fp32"
        said = f"; products in bf16 take {1 / ratio:.2f}x as long"
    log.info("device %s, precision %s%s", device, precision, said)
    return device, precision


def _gain(model: Any, device: str) -> float:
    """How much faster a product with the model's largest matrix is in bf16 than in fp32."""
    import torch

    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    tables = {id(end.weight) for end in ends if end is not None}
    shapes = [
        x.shape for x in model.parameters() if x.ndim == 2 and id(x) not in tables
    ]
    rows, columns = max(shapes, key=lambda shape: shape.numel())
    return _product_gain(rows, columns, device, torch.get_num_threads())


@functools.lru_cache
def _product_gain(rows: int, columns: int, device: str, threads: int) -> float:
    """Of the fastest of ``RUNS`` products; ``threads``: those of torch, which count on a
    CPU."""
    import torch

    tokens = min(512, max(16, round(OPERATIONS / (2 * rows * columns))))
    fastest = []
    for dtype in (torch.float32, torch.bfloat16):
        weight = torch.ones((rows, columns), dtype=dtype, device=device)
        states = torch.ones((tokens, columns), dtype=dtype, device=device)
        seconds = []
        for _ in range(RUNS + 1):  # the first makes a plan
            started = time.perf_counter()
            float((states @ weight.T)[0, 0])  # waits for the device
            seconds.append(time.perf_counter() - started)
        fastest.append(min(seconds[1:]))
    return fastest[0] / fastest[1]


def skeleton(folder: Path) -> Any:
    """The causal LM in ``folder`` on ``meta``; no weight is read."""
    import torch
    from transformers import AutoModelForCausalLM

    config = config_of(folder)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def load_for_generation(
    folder: Path | str,
    spec: Device,
    try_out: Callable[[Any], object] | None = None,
    *,
    prepacks: bool = True,
) -> tuple[Any, str, str]:
    """``(model, device, precision)`` ready to generate: weights in the precision itself, and
    on a CPU prepacked (``models.prepacking``) unless ``prepacks`` is false.

    ``try_out`` tries a model in fp32 before it is rounded, by default as ``probe.reader``
    does: then what is wrong is not taken for rounding.
    """
    from selfgen.models import prepacking, probe

    model = load(folder)
    device, precision = place(spec, model)
    if precision == "bf16":
        (try_out or probe.reader)(model.eval())
    model = cast(model, device, precision)
    is_large = model.num_parameters() >= SMALL_MODEL
    if prepacks and device == "cpu" and is_large and prepacking.can_prepack(precision):
        prepacking.prepack(model, precision)
    return model, device, precision


def cast(model: Any, device: str, precision: str) -> Any:
    """The model itself, on a device and with its weights in a precision, ready to read."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return model.to(device=device, dtype=dtype).eval()
