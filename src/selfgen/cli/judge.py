"""Let a judge, or a proxy, decide between the answers of a model and an opponent's."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from selfgen.cli import common
from selfgen.core.spec import from_json
from selfgen.data.records import read
from selfgen.judge.comparison import run as decide
from selfgen.judge.spec import ComparisonSpec, Limits


def add_arguments(parser: ArgumentParser) -> None:
    common.add_compute(parser)
    parser.add_argument("--records", type=Path, required=True, help="records Parquet")
    parser.add_argument("--answers", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--opponents",
        type=Path,
        nargs="*",
        default=[],
        help="answers of the other model; the references without",
    )
    parser.add_argument(
        "--scorer", type=Path, help="of a proxy: an encoder's wheel or a base model"
    )
    parser.add_argument("--prompt", type=Path, help="file of the judge prompt")
    parser.add_argument(
        "--replies", type=Path, help="folder where an endpoint's replies are kept"
    )
    parser.add_argument("--limits", help="of an endpoint, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="Parquet to write")


def run(args: Namespace) -> None:
    common.set_up(args)
    inputs = {"records": args.records}
    inputs |= {f"answers {i}": path for i, path in enumerate(args.answers)}
    inputs |= {f"opponents {i}": path for i, path in enumerate(args.opponents)}
    inputs |= {n: getattr(args, n) for n in ("scorer", "prompt") if getattr(args, n)}
    hashes = common.hashes(inputs)
    spec = from_json(ComparisonSpec, args.spec)
    clock = common.Clock(args.name, "pairs")
    rows, facts = decide(
        read(args.records, [spec.split]),
        common.read_rows(args.answers),
        common.read_rows(args.opponents) if args.opponents else None,
        spec,
        limits=from_json(Limits, args.limits) if spec.endpoint else None,
        replies=args.replies,
        scorer=args.scorer,
        prompt=args.prompt,
        progress=clock,
    )
    common.write_rows(args.out, rows)
    common.write_manifest(
        args, "selfgen.judge.comparison", hashes, facts | clock.facts()
    )
