"""Free-running generation by vLLM: the same prompts and shards as by our own engines.

vLLM pins a torch and a transformers of its own, so it lives in an environment of its own
(envs/vllm.txt) and is imported only where it is asked for. Greedy text in fp32 is that of
our engines; what a temperature draws is another sample of the same distribution.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from selfgen.core.errors import UserError
from selfgen.core.spec import Device
from selfgen.generation.decoding import Filled, Request
from selfgen.generation.sampling import Sampler
from selfgen.models.loading import config_of, place, skeleton

CPU_CACHE = 2**30
"""Bytes of the key-value cache on a CPU: by default vLLM takes most of the memory."""


@dataclass(frozen=True)
class Served:
    """A model that vLLM will load on a device of this kind; ``gpus``: number of GPUs."""

    weights: Path
    device: str
    precision: str
    gpus: int

    @property
    def vocabulary(self) -> int:
        """Rows of the head."""
        return int(config_of(self.weights).get_text_config(decoder=True).vocab_size)

    @property
    def generation_config(self) -> Any:
        """What the model's folder says of generation; None where it says nothing."""
        from transformers import GenerationConfig

        if not (self.weights / "generation_config.json").is_file():
            return None
        return GenerationConfig.from_pretrained(self.weights)

    def fill(
        self,
        requests: Sequence[Request],
        sampler: Sampler,
        batch_size: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> Filled:
        """The answers to ``requests`` as they finish, at most ``batch_size`` at a time."""
        if not requests:
            return
        engine = self._start(max(map(len, requests)), batch_size)
        for index, request in enumerate(requests):
            prompt = {"prompt_token_ids": list(request.prompt_ids)}
            engine.add_request(str(index), prompt, sampling_of(request, sampler))
        done = 0
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    done += 1
                    if progress:
                        progress(done, len(requests))
                    yield int(output.request_id), list(output.outputs[0].token_ids)
        engine.engine_core.shutdown()

    def _start(self, longest: int, batch_size: int) -> Any:
        """vLLM's engine for texts of up to ``longest`` tokens."""
        from vllm import LLM

        small = {"enforce_eager": True, "kv_cache_memory_bytes": CPU_CACHE}
        return LLM(
            str(self.weights),
            skip_tokenizer_init=True,
            trust_remote_code=False,
            load_format="safetensors",
            generation_config="vllm",  # not what the model's folder recommends
            dtype="bfloat16" if self.precision == "bf16" else "float32",
            tensor_parallel_size=self.gpus,
            max_model_len=longest,
            max_num_seqs=batch_size,
            **(small if self.device == "cpu" else {}),
        ).llm_engine

    def facts(self) -> dict[str, Any]:
        """What the manifest records about the backend."""
        import vllm

        return {"engine": "vllm", "vllm": vllm.__version__, "gpus": self.gpus}


def load(weights: Path, where: Device, gpus: int = 1) -> Served:
    """A model for vLLM.

    Raises UserError: vLLM is not installed here, or was built for another device.
    """
    # Disable usage telemetry; its processes share the CPU threads of this one.
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    try:
        from vllm.platforms import current_platform
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise UserError(
            "generation.backend: found vllm, which is not installed here; allowed:"
            " selfgen, or an environment of envs/vllm.txt, named by SELFGEN_VLLM_PYTHON"
        ) from None
    device, precision = place(where, skeleton(weights))
    if device != current_platform.device_type:
        raise UserError(
            f"device: found {device}, allowed with this build of vLLM:"
            f" {current_platform.device_type}"
        )
    return Served(weights, device, precision, gpus if device == "cuda" else 1)


def sampling_of(request: Request, sampler: Sampler) -> Any:
    """How vLLM samples a request: as ``Sampler`` would, by a stream of the request's own."""
    from vllm import SamplingParams

    return SamplingParams(
        temperature=sampler.sampling.temperature,
        top_k=sampler.sampling.top_k,
        top_p=sampler.sampling.top_p,
        seed=request.key & (2**63 - 1),
        max_tokens=request.limit,
        ignore_eos=True,  # of the model's folder; ours is the tokenizer's
        stop_token_ids=sorted(request.stops),
        logit_bias={token: float("-inf") for token in sampler.banned} or None,
        detokenize=False,
    )
