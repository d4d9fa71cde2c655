"""One regime of small models under one seed: every variant trained and measured."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core import provenance
from selfgen.core.spec import from_json
from selfgen.runtime import process
from selfgen.synthetic.run import FILES, Regime
from selfgen.synthetic.spec import ControlledSpec


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--scratch", type=Path, help="where finished variants are kept")


def run(args: Namespace) -> None:
    common.set_up(args)
    clock = common.Clock(args.name, "variants")
    regime = Regime(from_json(ControlledSpec, args.spec), args.scratch)
    regime.run(clock)
    tables = regime.tables()
    files = [args.out / f"{name}.parquet" for name in FILES]
    for name, path in zip(FILES, files, strict=True):
        with provenance.atomic(path) as partial:
            tables[name].to_parquet(partial, index=False)
    facts = {"nodes": regime.facts(), "peak_memory_mb": process.peak_memory_mb()}
    module = "selfgen.synthetic.run"
    common.write_manifest(args, module, {}, facts | clock.facts(), files)
