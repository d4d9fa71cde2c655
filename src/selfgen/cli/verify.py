"""Hold results against numbers that others measured."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.provenance import spec_digest
from selfgen.core.spec import from_json
from selfgen.report.verify import VerifySpec, verify


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="VerifySpec as JSON")
    parser.add_argument("--tables", type=Path, required=True, help="folder of tables")


def run(args: Namespace) -> None:
    spec = from_json(VerifySpec, args.spec)
    stale = [
        path
        for known in spec.known
        for path, digest in known.manifests.items()
        if not _is_of(Path(path), digest)
    ]
    common.write_texts(args.tables, verify(spec, args.tables, stale))


def _is_of(path: Path, digest: str) -> bool:
    """Whether a manifest has the spec of today's configuration."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["spec"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return spec_digest(text) == digest
