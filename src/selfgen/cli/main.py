"""``selfgen VERB``: finds the verb's file, parses its arguments, runs it."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import sys
from collections.abc import Collection

from selfgen import __version__
from selfgen.core.errors import UserError
from selfgen.core.text import shown
from selfgen.runtime import process

DISK = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES),
    *(errno.EEXIST, errno.ENOTDIR),
)
"""What the person at the keyboard can mend: a disk that is full or may not be written, a file
where a folder is to be."""

GROUPS = {
    "Before a run": {
        "new": "a first configuration for rows and a model of yours",
        "check": "what is wrong in a configuration, or missing behind its results",
        "plan": "what a configuration takes: tokens, GPU-hours, disk, judges' prices",
    },
    "A run": {
        "run": "run a configuration, in its folder: tables, figures, models",
        "status": "how far a run is, from a second terminal",
        "resume": "go on with a run that was killed",
        "cancel": "cancel the Slurm jobs that a killed run left behind",
    },
    "After a run": {
        "report": "a run as one page that needs no network",
        "archive": "a finished run as one zip for an archive with a DOI",
        "export": "save rows, drafts or a trained model for others, with a card",
        "verify": "hold a run's numbers against those of the shipped run",
        "ship": "copy tables, figures, scores and judgments into the documents",
    },
    "A model": {
        "measure": "exposure bias of a model, with intervals and a page",
    },
    "Measurements of this code": {
        "bench": "speed beside what one would use instead",
        "agreement": "how often proxies prefer what a judge preferred",
    },
    "This project": {
        "manual": "write what is made of code: reference, page of the library, codemeta.json",
        "completion": "print what makes a shell complete these verbs",
    },
    "The workflow": {
        "step": "one step, as the rules call it",
    },
}
"""What a person may type, by what it is for, and in the end what only the workflow does.
Every verb is the module of its name."""

PASS_ON = ("run", "resume")
"""Verbs that give what stands behind ``--`` to Snakemake."""

VERBS = {verb: about for group in GROUPS.values() for verb, about in group.items()}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 when it succeeded, 1 after a UserError (one line, no traceback)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Shown("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in ("accelerate", "httpx2", "filelock", "fsspec", "fontTools", "lm_eval"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    process.search_less_for_cycles()
    argv = sys.argv[1:] if argv is None else argv
    fetches = argv[:1] in (["measure"], ["new"], ["resume"], ["run"]) or argv[:2] == [
        "step",
        "fetch_hub",
    ]
    for name, value in process.DEFAULTS.items():
        if not (fetches and name == "HF_HUB_OFFLINE"):
            os.environ.setdefault(name, value)
    verb = argv[0] if argv else ""
    if verb and not verb.startswith("-") and verb not in VERBS:
        from selfgen.core.types import hint

        print(f"selfgen: found {verb!r}{hint(verb, list(VERBS))}", file=sys.stderr)
        return 2
    # Only the verb that is asked for is imported: some import torch.
    given, own = argv, list[str]()
    if verb in PASS_ON and "--" in argv:
        place = argv.index("--")
        given, own = argv[:place], argv[place + 1 :]
    args = parser([verb]).parse_args(given)
    args.snakemake = own
    try:
        args.run(args)
    except UserError as error:
        print(shown(f"error: {error}"), file=sys.stderr)
        return 1
    except Exception as error:
        if not (said := _of_disk(error)):
            raise
        print(shown(f"error: {said}"), file=sys.stderr)
        return 1
    return 0


class _Shown(logging.Formatter):
    """Lines may quote what a model or an endpoint wrote: none controls a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


def parser(verbs: Collection[str]) -> argparse.ArgumentParser:
    """The parser of the command line, with the arguments of some of the ``verbs``."""
    made = argparse.ArgumentParser(
        prog="selfgen",
        usage="selfgen [-h] [--version] VERB ...",
        description="Train language models on their own tokens. More: selfgen VERB --help",
        epilog=_overview(),
        formatter_class=_Help,
    )
    made.add_argument("--version", action="version", version=f"selfgen {__version__}")
    subparsers = made.add_subparsers(
        prog="selfgen", dest="verb", required=True, metavar="VERB"
    )
    for verb, about in VERBS.items():
        sub = subparsers.add_parser(verb, help=about)
        if verb in verbs:
            module = importlib.import_module(f"selfgen.cli.{verb}")
            sub.description = module.__doc__
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return made


class _Help(argparse.RawDescriptionHelpFormatter):
    """Lists no verbs, which the overview does by group."""

    def add_argument(self, action: argparse.Action) -> None:
        if action.dest != "verb":
            super().add_argument(action)


def _overview() -> str:
    lines = []
    for group, verbs in GROUPS.items():
        lines.append(f"{group}:")
        lines += [f"  {verb:<12}{about}" for verb, about in verbs.items()]
    return "\n".join(lines)


def _of_disk(error: Exception) -> str | None:
    """What an error says of a disk, if it is of one."""
    if isinstance(error, OSError) and error.errno in DISK:
        return f"{error.filename or 'a file'}: {error.strerror}"
    # Weights are written in Rust, whose errors are of a kind of their own.
    numbers = (n for n in DISK if f"(os error {n})" in str(error))
    return next((f"a file: {os.strerror(n)}" for n in numbers), None)
