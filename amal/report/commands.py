"""Commands as the report shows them: without the paths and options of one machine."""

import re
import shlex

LOCAL_OPTIONS = {"--run-dir": 1, "--data-root": 1, "--seed": 1, "--resume": 0, "--progress": 0, "--no-progress": 0}
"""Options that are left out of a command -> how many values follow them."""
COMMON_OPTIONS = ("--dataset", "--evaluate-every")
"""Options that are nothing special of a run; its data stand beside it."""


def special_options(command: str) -> str:
    """Return the options that distinguish a normalised command."""
    options: list[list[str]] = []
    for word in shlex.split(command)[3:]:  # after python -m module
        if word.startswith("--"):
            options.append([])
        if options:
            options[-1].append(word)
    return " ".join(shlex.join(option) for option in options if option[0].partition("=")[0] not in COMMON_OPTIONS)


def normalise(command: str) -> str:
    """Return a command without its seed and the options that matter on one machine only."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    rest, skip = [], 0
    for word in words:
        option, has_value, _ = word.partition("=")
        if skip and not word.startswith("--"):
            skip -= 1
        elif option in LOCAL_OPTIONS:
            skip = 0 if has_value else LOCAL_OPTIONS[option]
        else:
            skip = 0
            rest.append(word)
    return shorten_paths(shlex.join(rest))


def shorten_paths(text: str) -> str:
    """Shorten every absolute path to its last part: the others matter on one machine only."""
    return re.sub(r"(?<![\w./])/(?:[^\s/'\"]+/)+", "…/", text)
