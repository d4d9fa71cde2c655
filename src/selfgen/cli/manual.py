"""Write what is made of other files, or check that it is in step with them: the reference and
the schemas of the configuration, the page of the library, the table of measures, and
codemeta.json of CITATION.cff."""

from argparse import ArgumentParser, Namespace
from difflib import unified_diff
from pathlib import Path

from selfgen.config.manual import manual
from selfgen.config.schema import SCHEMAS, schema
from selfgen.core.citation import codemeta
from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/configuration.md"),
        help="page of the configuration",
    )
    parser.add_argument(
        "--schemas", type=Path, default=Path("config"), help="folder of the schemas"
    )
    parser.add_argument(
        "--library", type=Path, default=Path("docs/api.md"), help="page of the library"
    )
    parser.add_argument(
        "--citation",
        type=Path,
        default=Path("CITATION.cff"),
        help="how to cite; codemeta.json is written beside it",
    )
    parser.add_argument(
        "--measures",
        type=Path,
        default=Path("docs/measure.md"),
        help="page with a table of all measures",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail with a diff"
    )


def run(args: Namespace) -> None:
    from selfgen.library.page import page  # which imports torch
    from selfgen.report.measured.listing import listed

    texts = {args.out: manual(), args.library: page()}
    texts |= {args.schemas / name: schema(name) for name in SCHEMAS}
    cff = args.citation.read_text(encoding="utf-8")
    texts[args.citation.with_name("codemeta.json")] = codemeta(cff)
    measures = args.measures.read_text(encoding="utf-8")
    texts[args.measures] = listed(measures)
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
