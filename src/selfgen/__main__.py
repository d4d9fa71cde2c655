"""``python -m selfgen``: the command line without an installed script."""

import sys

from selfgen.runtime import forks

if __name__ == "__main__":
    # What is fetched is fetched alone: the libraries of forks were told to stay offline.
    verb, name = [*sys.argv[1:3], "", ""][:2]
    if verb == "step" and not name.startswith("fetch"):
        forks.lend(sys.argv[1:])
    from selfgen.cli.main import main

    raise SystemExit(main())
