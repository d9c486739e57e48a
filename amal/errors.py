"""The one exception that amal raises for what a user can mend."""


class UserError(Exception):
    """What went wrong and what to do about it, in one line; a script prints it alone, without a traceback."""
