"""Write the manual of the configuration and its JSON schemas, or check that they are in step
with the code."""

from argparse import ArgumentParser, Namespace
from difflib import unified_diff
from pathlib import Path

from selfgen.config.manual import manual
from selfgen.config.schema import SCHEMAS, schema
from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, default=Path("config"), help="where the files are"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail with a diff"
    )


def run(args: Namespace) -> None:
    texts = {"README.md": manual()} | {name: schema(name) for name in SCHEMAS}
    diffs: list[str] = []
    for name, text in texts.items():
        path = args.folder / name
        if not args.check:
            with atomic(path) as partial:
                partial.write_text(text, encoding="utf-8")
            continue
        written = path.read_text(encoding="utf-8") if path.is_file() else ""
        lines = written.splitlines(), text.splitlines()
        diffs += unified_diff(*lines, str(path), "generated", lineterm="")
    if diffs:
        raise UserError("\n".join(["run `selfgen manual`:", *diffs]))
