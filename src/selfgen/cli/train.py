"""Fine-tune a model on training rows; resumes from its scratch folder."""

import json
import logging
import os
import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core import provenance
from selfgen.core.spec import from_json
from selfgen.data.prompts import load_tokenizer
from selfgen.models import loading
from selfgen.runtime import launching, locks, process
from selfgen.training.causal import train
from selfgen.training.spec import TrainSpec

log = logging.getLogger("selfgen")

MODULE = "selfgen.training.causal"

STATE = "SELFGEN_STATE"
"""Variable by which a launcher tells its processes what it has hashed already."""


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--rows", type=Path, required=True, help="training rows")
    parser.add_argument("--weights", type=Path, required=True, help="where to start")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--curve", type=Path, required=True, help="JSONL to write")
    parser.add_argument("--scratch", type=Path, help="root of resumable state")
    parser.add_argument(
        "--checkpoint-minutes",
        type=float,
        default=10.0,
        help="time between checkpoints",
    )
    parser.add_argument(
        "--micro-batch-tokens",
        type=int,
        default=0,
        help="tokens of a forward pass; 0: by device",
    )
    parser.add_argument("--processes", type=int, default=1, help="in all, one a GPU")
    parser.add_argument("--nodes", type=int, default=1, help="machines of a Slurm job")
    parser.add_argument(
        "--launch", default="", help="configuration of accelerate launch (FSDP)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="where a relative --launch lies"
    )
    parser.add_argument(
        "--compile", action="store_true", help="use torch.compile (pays on a GPU)"
    )


def run(args: Namespace) -> None:
    inputs = {"rows": args.rows, "weights": args.weights}
    # A process of a launcher, which has read them.
    hashes = {} if os.environ.get(STATE) else common.hashes(inputs)
    scratch = args.scratch and args.scratch / _address(args, hashes)
    if "LOCAL_RANK" not in os.environ:
        if _launches(args):
            _launch(args, scratch)
        if _is_done(args, scratch):
            return
    common.set_up(args)
    first = os.environ.get("RANK", "0") == "0"
    clock = common.Clock(args.name, "step", resumes=True)
    tokenizer = load_tokenizer(args.weights)
    model, outcome = train(
        loading.load(args.weights),
        args.rows,
        from_json(TrainSpec, args.spec),
        scratch=scratch,
        checkpoint_minutes=args.checkpoint_minutes,
        micro_batch_tokens=args.micro_batch_tokens,
        compile=args.compile,
        banned=tokenizer.all_special_ids,
        progress=clock if first else None,
    )
    if not first:
        return
    with provenance.atomic(args.out) as partial:
        loading.save(model, tokenizer, partial)
    with provenance.atomic(args.curve) as partial:
        lines = [json.dumps(point) + "\n" for point in outcome.curve]
        partial.write_text("".join(lines))
    facts = {key: value for key, value in vars(outcome).items() if key != "curve"}
    facts["peak_memory_mb"] = process.peak_memory_mb()
    hashes = hashes or common.hashes(inputs)
    outputs = [args.out, args.curve]
    common.write_manifest(args, MODULE, hashes, facts | clock.facts(), outputs)
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
        locks.drop(scratch)


def _launches(args: Namespace) -> bool:
    return args.processes > 1 or args.nodes > 1 or bool(args.launch)


def _is_done(args: Namespace, scratch: Path | None) -> bool:
    """Lease the folder of the state. Another job that had it, of a run that was killed, may
    have done the work meanwhile."""
    done = bool(scratch) and locks.hold(scratch) and args.manifest.is_file()
    if done:
        log.info("done by another job")
    return done


def _launch(args: Namespace, scratch: Path | None) -> None:
    """Become the launcher, which starts this verb in every process, or what starts one on
    every machine; folder and devices are leased before."""
    processes = max(args.nodes, args.processes)
    config = args.root / args.launch if args.launch else None
    command = launching.command(
        sys.argv[1:], os.environ, processes=processes, nodes=args.nodes, config=config
    )
    if command[0] == sys.executable:
        # Of several machines, the first one's launcher has the folder.
        if os.environ.get("SLURM_PROCID", "0") == "0" and _is_done(args, scratch):
            sys.exit()
        os.environ[STATE] = scratch.name if scratch else ""
    if common.wants_gpu(args):
        locks.take(processes)
    here = processes // args.nodes
    os.environ["OMP_NUM_THREADS"] = str(max(1, args.threads // here))
    os.execvp(command[0], command)  # noqa: S606 (no shell)


def _address(args: Namespace, hashes: dict[str, str]) -> str:
    """Scratch state belongs to one spec, one code and one set of inputs."""
    import hashlib

    if os.environ.get(STATE):
        return os.environ[STATE]
    parts = [args.spec, provenance.code_digest(MODULE)]
    parts += hashes.values()
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
