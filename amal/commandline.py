"""Command lines: one line for what is wrong with one, and silence when nobody reads the output."""

import contextlib
import functools
import io
import itertools
import math
import os
import re
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO, TypeVar

import tyro

from amal.errors import UserError, did_you_mean, nearest

_F = TypeVar("_F", bound=Callable[..., None])
_T = TypeVar("_T")
SYNONYMS = {"learning-rate": "lr"}
"""Names of options in other programs -> their names here."""


class Unreadable(UserError):
    """A command line is wrong."""


class Commands:
    """The commands of a program. A command line is read whole before one runs, or refused in one line."""

    def __init__(self, prog: str, description: str) -> None:
        self._prog, self._description = prog, description
        self._names: list[str] = []
        self._app = tyro.extras.SubcommandApp()

    def command(self, function: _F) -> _F:
        """Make a function a command; it is returned as it is.

        A UserError that it raises becomes a line on standard error, and the exit status 2.
        """

        @functools.wraps(function)
        def read(*args: Any, **kwargs: Any) -> Callable[[], None]:
            return functools.partial(run, *args, **kwargs)

        def run(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except UserError as error:
                print(f"{self._prog} {function.__name__}: {error}", file=sys.stderr)
                raise SystemExit(2) from None

        self._app.command(read)
        self._names.append(function.__name__)
        return function

    def cli(self, args: Sequence[str] | None = None) -> None:
        """Run the command that a command line asks for.

        Args:
            args: the command line; None for the process's own.

        Raises:
            SystemExit: 2 for a wrong command line, or what the command ends with.
        """

        def ask(args: Sequence[str]) -> Callable[[], None]:
            return self._app.cli(args=args, prog=self._prog, description=self._description)  # type: ignore[no-any-return]

        with quiet_without_reader():
            try:
                run = read(ask, sys.argv[1:] if args is None else args, self._prog, self._names)
            except Unreadable as error:
                print(error, file=sys.stderr)
                raise SystemExit(2) from None
            run()


def require_limits(time_limit: float, memory_limit: float) -> None:
    """Check the limits of a command.

    Raises:
        UserError: nothing could run within them.
    """
    for option, limit in (("--time-limit", time_limit), ("--memory-limit", memory_limit)):
        if not 0 < limit < math.inf:
            raise UserError(f"{option} {limit:g}: expected a positive number")


def read(ask: Callable[[Sequence[str]], _T], args: Sequence[str], prog: str, commands: Sequence[str] = ()) -> _T:
    """Let tyro read a command line, and return its result.

    Args:
        ask: tyro.cli, with all but the command line.
        args: the command line.
        prog: the program, to begin a complaint with.
        commands: those of the program, if it has any.

    Raises:
        Unreadable: what is wrong, in one line, with what may have been meant.
        SystemExit: 0, after --help.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return ask(args)
    except SystemExit as stop:
        if not stop.code:
            raise
    command = next((word for word in args if not word.startswith("-")), None) if commands else None
    if command and command not in commands:
        hint = did_you_mean(command, commands)
        raise Unreadable(f"{prog}: no command {command}{hint}; there are {', '.join(commands)}")
    words = [command] if command else []
    message = _add_hint(_one_line(complaint.getvalue()), args, _options(ask, words))
    raise Unreadable(f"{' '.join([prog, *words])}: {message} (--help lists the options)")


def _one_line(box: str) -> str:
    """Return the message in the first box that tyro draws around an error.

    The box is of lines where the terminal has them, else of hyphens and blanks.
    """
    _, *rows = (row.strip("│╭╮╰╯─ ") for row in _strip_colours(box).splitlines())
    rows = ["" if set(row) == {"-"} else row for row in rows]
    message = itertools.takewhile(bool, itertools.dropwhile(lambda row: not row, rows))
    return " ".join(message).rstrip(".")


def _strip_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _options(ask: Callable[[Sequence[str]], object], command: list[str]) -> list[str]:
    """Return the options that a help lists."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        ask([*command, "--help"])
    return sorted(set(re.findall(r"--([a-z][\w-]*)", _strip_colours(output.getvalue()))))


def _add_hint(message: str, args: Sequence[str], options: list[str]) -> str:
    """Add to a message of tyro's the known words that are like an unknown one."""
    choice = re.search(r"invalid choice '(.+?)' .*Expected one of \((.+)\)", message)
    if choice:
        hint = did_you_mean(choice[1], re.findall(r"'(.+?)'", choice[2]))
        message = message.replace(f"'{choice[1]}'", f"'{choice[1]}'{hint}", 1)
    words = [word for word in args if re.match(r"--\w", word)]
    hints = {word: _option_hint(word, options) for word in words if _name(word) not in options}
    if hints and not message.startswith("Unrecognized options"):  # what is missing may be behind a mistyped option
        return "Unrecognized options: " + ", ".join(f"{word}{hint}" for word, hint in hints.items())
    return re.sub(r"--[^\s,]+", lambda match: match[0] + hints.get(match[0], ""), message)


def _option_hint(word: str, options: list[str]) -> str:
    near = nearest(_name(word), [*options, *SYNONYMS])
    suggestion = SYNONYMS.get(near, near) if near else None
    return f" (did you mean --{suggestion}?)" if suggestion in options else ""


def _name(word: str) -> str:
    """Return the name of an option, as the help lists it: `--data_root=x` is data-root."""
    return word[2:].split("=")[0].replace("_", "-")


@contextlib.contextmanager
def quiet_without_reader() -> Iterator[None]:
    """End the process in silence when nobody reads its output on, as SIGPIPE would: `amal ops | head -1`.

    Raises:
        SystemExit: 141, the status of such a process in a shell.
    """
    try:
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
        if not unread:
            raise  # another pipe than ours to the user
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in unread:
            os.dup2(nowhere, stream.fileno())  # Python flushes them once more at its end
        raise SystemExit(141) from None


def _is_unread(stream: TextIO) -> bool:
    """Whether a stream leads into a pipe whose reader is gone."""
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except OSError:  # no file behind it
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))
