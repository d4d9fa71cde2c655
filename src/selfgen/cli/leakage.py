"""Refuse records whose held-out prompts stand in training."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.provenance import write_json
from selfgen.core.spec import from_json
from selfgen.data import leakage, records
from selfgen.data.leakage import LeakageSpec


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="LeakageSpec as JSON")
    parser.add_argument("--records", type=Path, required=True, help="records to check")
    parser.add_argument("--out", type=Path, required=True, help="JSON report to write")


def run(args: Namespace) -> None:
    common.unchanged(args.records)
    rows = records.read(args.records)
    report = leakage.check(rows, from_json(LeakageSpec, args.spec))
    logging.info("%s", report)
    write_json(args.out, report)
