"""Commands as they are shown: what matters to the result, and nothing of the place where they were run."""

import re
import shlex

NOT_SHOWN = {"--run-dir": 1, "--data-root": 1, "--seed": 1, "--resume": 0, "--progress": 0, "--no-progress": 0}
"""Options that are left out of a command -> how many values follow them."""
DULL = ("--dataset", "--evaluate-every")
"""Options that say nothing special of a run; its data stand beside it."""


def special(command: str) -> str:
    """Return the options of a normalised command that tell what is special about it."""
    options: list[list[str]] = []
    for word in shlex.split(command)[3:]:  # after python -m module
        if word.startswith("--"):
            options.append([])
        if options:
            options[-1].append(word)
    return " ".join(shlex.join(option) for option in options if option[0].partition("=")[0] not in DULL)


def normalised(command: str) -> str:
    """Return a command without the options that are a matter of the place, and without its seed."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    kept, skipped = [], 0
    for word in words:
        option, has_value, _ = word.partition("=")
        if skipped and not word.startswith("--"):
            skipped -= 1
        elif option in NOT_SHOWN:
            skipped = 0 if has_value else NOT_SHOWN[option]
        else:
            skipped = 0
            kept.append(word)
    return without_paths(shlex.join(kept))


def without_paths(text: str) -> str:
    """Shorten every absolute path to its last part: the others are a matter of one machine."""
    return re.sub(r"(?<![\w./])/(?:[^\s/'\"]+/)+", "…/", text)
