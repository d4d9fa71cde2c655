"""``python -m selfgen``: the command line without an installed script."""

from selfgen.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
