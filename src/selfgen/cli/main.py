"""``selfgen VERB``: finds the verb's file, parses its arguments, runs it."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import sys

from selfgen.core.errors import UserError
from selfgen.runtime import process

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
"""What the person at the keyboard can mend: a disk that is full or may not be written."""

DEFAULTS = {
    # Whatever is not the fetch stage works on files that are already here.
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Of small products, numpy's threads wait for each other where cores are busy: resampling
    # the tables of controlled runs took 58 s instead of 4. torch has threads of its own.
    "OPENBLAS_NUM_THREADS": "1",
    # A rule's log is no terminal; our own progress lines stay.
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
"""Of the environment, where it does not say otherwise."""

VERBS = {
    "fetch": "fetch",
    "fetch-file": "fetch_file",
    "fetch-hub": "fetch_hub",
    "base": "base",
    "records": "records",
    "leakage": "leakage",
    "pass": "generate",
    "rows": "rows",
    "train": "train",
    "answers": "answers",
    "score": "score",
    "lead-1": "lead1",
    "exposure": "exposure",
    "held-out-loss": "held_out_loss",
    "tabulate-exposure": "tabulate_exposure",
    "tabulate-losses": "tabulate_losses",
    "judge": "judge",
    "tabulate-win-rates": "tabulate_win_rates",
    "tabulate-preference": "tabulate_preference",
    "collect": "collect",
    "render": "render",
    "samples": "samples",
    "ship": "ship",
    "manual": "manual",
    "controlled": "synthetic",
    "collect-controlled": "collect_synthetic",
    "render-controlled": "render_synthetic",
    "agreement": "agreement",
    "benchmark-answers": "benchmark_answers",
    "benchmark-grades": "benchmark_grades",
    "few-shot": "few_shot",
    "tabulate-benchmark": "tabulate_benchmark",
    "verify": "verify",
    "cancel": "cancel",
    "plan": "plan",
    "bench": "bench",
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 when it succeeded, 1 after a UserError (one line, no traceback)."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    for noisy in ("accelerate", "httpx", "filelock", "fsspec", "fontTools", "lm_eval"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    process.search_less_for_cycles()
    argv = sys.argv[1:] if argv is None else argv
    for name, value in DEFAULTS.items():
        if (name, argv[:1]) != ("HF_HUB_OFFLINE", ["fetch-hub"]):
            os.environ.setdefault(name, value)
    parser = argparse.ArgumentParser(prog="selfgen", description=main.__module__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, module in VERBS.items():
        # Only the verb that is asked for is imported: some import torch.
        wanted = verb in argv[:1]
        code = importlib.import_module(f"selfgen.cli.{module}") if wanted else None
        sub = verbs.add_parser(verb, description=code and code.__doc__)
        if code:
            code.add_arguments(sub)
            sub.set_defaults(run=code.run)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if not (said := _of_disk(error)):
            raise
        print(f"error: {said}", file=sys.stderr)
        return 1
    return 0


def _of_disk(error: Exception) -> str | None:
    """What an error says of a disk, if it is of one."""
    if isinstance(error, OSError) and error.errno in DISK:
        return f"{error.filename or 'a file'}: {error.strerror}"
    # Weights are written in Rust, whose errors are of a kind of their own.
    numbers = (n for n in DISK if f"(os error {n})" in str(error))
    return next((f"a file: {os.strerror(n)}" for n in numbers), None)
