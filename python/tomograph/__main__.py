"""The program `tomograph`: the same command line, out of the wheel."""

from __future__ import annotations

import sys

from ._tomograph import main as _main


def main() -> int:
    """Runs the command line of this process; its exit code."""
    return _main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
