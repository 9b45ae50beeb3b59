"""From Python's options to the words of the command line, which checks them and says what they mean."""

from __future__ import annotations

import difflib
import functools
import json
import keyword
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from ._tomograph import options as _options

_LOG = logging.getLogger("tomograph")

Argument = dict[str, Any]


@functools.cache
def commands() -> dict[str, dict[str, Any]]:
    """What every command takes, by its name."""
    return {command["command"]: command for command in json.loads(_options())}


def option_name(long: str) -> str:
    """`--noise-seeds` is noise_seeds, `--for` is for_."""
    name = long.replace("-", "_")
    return name + "_" if keyword.iskeyword(name) else name


@functools.cache
def options_of(command: str) -> dict[str, Argument]:
    """The options of a command by their names in Python; but for what is decided here (`--json`)."""
    named = (argument for argument in commands()[command]["arguments"] if argument["long"])
    return {option_name(argument["long"]): argument for argument in named if argument["long"] != "json"}


def arguments(command: str, positional: Sequence[object], options: Mapping[str, object]) -> list[str]:
    """The words of a command line (without the program's name).

    None and False leave an option out, True gives one without a value; of a list, each item is given.

    Raises TypeError for an option that the command does not have.
    """
    known = options_of(command)
    named = [_word(value) for value in positional]
    # Behind `--` nothing is taken for an option.
    behind = ["--", *named] if any(word.startswith("-") for word in named) else []
    words = [command] if behind else [command, *named]
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{command} has no option {name!r}{hint}")
        words.extend(_option(name, known[name], value))
    return words + behind


def _option(name: str, argument: Argument, value: object) -> Iterator[str]:
    flag = "--" + argument["long"]
    if value is None or value is False:
        return
    if value is True:
        if argument["takes_value"] and not argument["optional_value"]:
            raise TypeError(f"{name} takes a value: {argument['help']}")
        yield flag
        return
    if not argument["takes_value"]:
        raise TypeError(f"{name} is True or False: {argument['help']}")
    if isinstance(value, Mapping):
        value = [f"{_word(key)}={_word(item)}" for key, item in value.items()]
    if isinstance(value, (str, bytes, os.PathLike)) or not hasattr(value, "__iter__"):
        yield f"{flag}={_word(value)}"
        return
    items = [_word(item) for item in value]
    if argument["delimiter"] or _is_list(argument):
        if items:
            yield f"{flag}={','.join(items)}"
    elif argument["many_values"] or argument["repeated"]:
        yield from (f"{flag}={item}" for item in items)
    else:
        raise TypeError(f"{name} takes one value: {argument['help']}")


def _is_list(argument: Argument) -> bool:
    """Whether one value of it is a list with commas."""
    return any(name.endswith(",…") for name in argument["value_names"])


def _word(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (str, os.PathLike)):
        return os.fsdecode(value)
    if isinstance(value, bool) or value is None:
        raise TypeError(f"expected text or a number, found {value!r}")
    if isinstance(value, float):
        return repr(float(value))
    return str(value)


def said(text: str) -> None:
    """Hands on what a run said on the way: notes as warnings of the logger `tomograph`, the rest as information."""
    for line in text.splitlines():
        if line.startswith("note: "):
            _LOG.warning(line[len("note: ") :])
        else:
            _LOG.info(line)
