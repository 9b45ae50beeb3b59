"""The one exception of this package."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """Something stood in the way. `str(error)` is what the command line says.

    kind:      one word for a program; `Error.KINDS` says what each means
    site:      where: a file, a tensor, a byte, a key of the config
    expected:  what should have been there
    found:     what was there
    hint:      what you can do about it

    All but `kind` may be None.
    """

    #: Every kind, and what it means.
    KINDS: dict[str, str] = {}

    def __init__(
        self,
        message: str,
        kind: str = "failed",
        site: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.site = site
        self.expected = expected
        self.found = found
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.kind, self.site, self.expected, self.found, self.hint)


def _kinds() -> dict[str, str]:
    from ._tomograph import error_kinds

    return dict(error_kinds())


Error.KINDS = _kinds()
