"""Write the manual and the schemas of the configuration and the page of the library, or check
that they are in step with the code."""

from argparse import ArgumentParser, Namespace
from difflib import unified_diff
from pathlib import Path

from selfgen.config.manual import manual
from selfgen.config.schema import SCHEMAS, schema
from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("config/README.md"),
        help="Markdown to write; the schemas lie beside it",
    )
    parser.add_argument(
        "--library", type=Path, default=Path("docs/api.md"), help="page of the library"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail with a diff"
    )


def run(args: Namespace) -> None:
    from selfgen.library.page import page  # which imports torch

    texts = {args.out: manual(), args.library: page()}
    texts |= {args.out.with_name(name): schema(name) for name in SCHEMAS}
    stale: list[str] = []
    for path, text in texts.items():
        written = path.read_text(encoding="utf-8") if path.is_file() else ""
        if args.check and written != text:
            lines = (written.splitlines(), text.splitlines())
            stale += unified_diff(*lines, str(path), "generated", lineterm="")
        elif written != text:
            with atomic(path) as partial:
                partial.write_text(text, encoding="utf-8")
    if stale:
        raise UserError("\n".join(["run `selfgen manual`:", *stale]))
