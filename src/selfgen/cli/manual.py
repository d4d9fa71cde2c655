"""Write the manual of the configuration, or check that it is in step with the code."""

from argparse import ArgumentParser, Namespace
from difflib import unified_diff
from pathlib import Path

from selfgen.config.manual import manual
from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("config/README.md"), help="Markdown to write"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail with a diff"
    )


def run(args: Namespace) -> None:
    text = manual()
    if not args.check:
        with atomic(args.out) as partial:
            partial.write_text(text, encoding="utf-8")
        return
    found = args.out.read_text(encoding="utf-8") if args.out.is_file() else ""
    diff = unified_diff(
        found.splitlines(), text.splitlines(), str(args.out), "generated", lineterm=""
    )
    if found != text:
        raise UserError("\n".join(["run `selfgen manual`:", *diff]))
