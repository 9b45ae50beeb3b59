"""The program `tomograph`: the same command line, out of the wheel."""

from __future__ import annotations

import sys

from ._tomograph import main as _main


def main() -> int:
    """Runs the command line of this process; its exit code."""
    words = sys.argv[1:]
    if words[:1] == ["map"] and any(word == "--ray" or word.startswith("--ray=") for word in words):
        return _on_ray(words)
    return _main(words)


def _on_ray(words: list[str]) -> int:
    try:
        from . import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        print("error: the package ray is not there\n  hint: pip install 'tomograph[ray]'", file=sys.stderr)
        return 1
    from ._error import Error

    try:
        return ray.main(words)
    except KeyboardInterrupt:
        return 130
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if error.kind == "usage" else 1


if __name__ == "__main__":
    sys.exit(main())
