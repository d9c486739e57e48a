"""The one exception that amal raises for what a user can mend, and a guess at what an unknown word meant."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """What went wrong and what to do about it, in one line; a script prints it alone, without a traceback."""


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the known word that an unknown one resembles most, whatever its case; None where none is near."""
    words = {name.lower(): name for name in names}
    near = get_close_matches(word.lower(), words, n=1)
    return words[near[0]] if near else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return what to say behind an unknown word, such as " (did you mean linear?)"; nothing where no word is near."""
    near = nearest(word, names)
    return f" (did you mean {near}?)" if near else ""
