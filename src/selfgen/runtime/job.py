"""What a step is given beside its spec: files, a share of the machine, run knobs.

Steps import it for type checkers alone, so it is no code of theirs: what stands here and
in ``cli.step`` is the same for all steps and decides no result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic
from selfgen.runtime import devices, state
from selfgen.runtime.progress import Progress


@dataclass(frozen=True)
class Job:
    """One run of a step. Nothing in it but its inputs changes what is computed, rounding in
    bf16 apart; so nothing in it causes a rerun.

    ``inputs`` and ``outputs``: files and folders by name. ``hashes``: content hashes of the
    inputs; ``code``: digest of the step's code. ``name``: in progress lines. ``threads``:
    of the CPU; ``gpus``: that the job may use, one process each where it trains. ``after``:
    what a step wants to be called once its manifest is written.

    The knobs, by ``--set``: ``root``, where files of one's own lie; ``scratch``, the folder
    of resumable state; ``replies``, that of judges' replies; ``limits``, how an endpoint is
    asked (``judge.spec.Limits`` as JSON). Of generation: ``batch_size``, prompts at a time;
    ``shard`` of ``shards`` parts of the plan; ``engine`` (auto, sequential or speculative).
    Of training:
    ``checkpoint_minutes``, ``micro_batch_tokens`` (of a forward pass; 0: by device),
    ``compile`` (torch.compile, which pays on a GPU), ``nodes`` (machines of a Slurm job),
    ``launch`` (configuration of ``accelerate launch``) and ``report_to`` (trackers by their
    names in ``accelerate``, with commas).
    """

    inputs: Mapping[str, tuple[Path, ...]]
    outputs: Mapping[str, Path]
    after: list[Callable[[], None]] = field(default_factory=list)
    hashes: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    name: str = ""
    threads: int = 1
    gpus: int = 0
    root: Path = Path()
    scratch: Path | None = None
    replies: Path | None = None
    limits: str = ""
    batch_size: int = 256
    shard: int = 0
    shards: int = 1
    engine: str = "auto"
    checkpoint_minutes: float = 10.0
    micro_batch_tokens: int = 0
    compile: bool = False
    nodes: int = 1
    launch: str = ""
    report_to: str = ""

    def input(self, name: str) -> Path:
        """The one file or folder of an input."""
        if name not in self.inputs:
            raise UserError(f"--input {name}=PATH is missing")
        (path,) = self.inputs[name]
        return path

    def paths(self, name: str) -> list[Path]:
        """All files of an input; none where it was not given."""
        return list(self.inputs.get(name, ()))

    def files(self) -> dict[str, Path]:
        """The inputs that are one file or folder, by name."""
        return {
            name: paths[0] for name, paths in self.inputs.items() if len(paths) == 1
        }

    def output(self, name: str) -> Path:
        """Where an output is to be written."""
        if name not in self.outputs:
            raise UserError(f"--output {name}=PATH is missing")
        return self.outputs[name]

    def write(self, files: Mapping[str, bytes | str]) -> None:
        """Each content to the output of its name, atomically."""
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            with atomic(self.output(name)) as partial:
                partial.write_bytes(data)

    def decoding(self) -> dict[str, Any]:
        """How tokens are generated, as ``generation`` takes it."""
        names = ("batch_size", "shard", "shards", "engine")
        return {name: getattr(self, name) for name in names}

    def told(self) -> dict[str, Any]:
        """What of the machine and the knobs a manifest tells: in bf16 they may change how
        sums are rounded."""
        hidden = ("root", "scratch", "replies", "limits", "launch", "report_to")
        names = ["threads", "gpus", *(name for name in KNOBS if name not in hidden)]
        return {name: getattr(self, name) for name in names}

    def progress(self, unit: str, *, resumes: bool = False) -> Progress:
        """Progress lines that count in ``unit``."""
        return Progress(self.name, unit, resumes=resumes)

    def claim(self, device: str) -> None:
        """As ``devices.claim``, with the job's threads and GPUs."""
        devices.claim(device, self.threads, self.gpus)

    # What a step asks that may be killed and resumed, in one process or several

    def state(self, spec: Any) -> Path | None:
        """As ``state.folder_of``."""
        return state.folder_of(self, spec)

    def begins(self, folder: Path | None, device: str) -> bool:
        """As ``state.begins``."""
        return state.begins(self, folder, device)

    def is_first(self) -> bool:
        """As ``state.is_first``."""
        return state.is_first()

    def forgets(self, folder: Path | None) -> None:
        """Remove the state once the manifest is written."""
        if folder:
            self.after.append(partial(state.forget, folder))


GIVEN = ("inputs", "outputs", "after", "hashes", "code", "name", "threads", "gpus")
KNOBS = {f.name: f.type for f in fields(Job) if f.name not in GIVEN}
"""Fields of ``Job`` that ``--set`` sets, and their types as they are written."""

_PARSERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "Path": Path,
    "Path | None": Path,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
}


def knobs(settings: list[str]) -> dict[str, Any]:
    """The fields of ``Job`` that ``KEY=VALUE`` texts set.

    Raises UserError: no such knob, or a value of another type.
    """
    values = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in KNOBS:
            raise UserError(f"--set: found {name!r}, allowed: {', '.join(KNOBS)}")
        kind = str(KNOBS[name])
        try:
            values[name] = _PARSERS[kind](text)
        except (ValueError, KeyError):
            raise UserError(f"--set {name}: found {text!r}, allowed: {kind}") from None
    return values
