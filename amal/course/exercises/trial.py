"""What runs in the sandbox for `amal check DIR`: it tries a student's files, test by test."""

import os
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

Verdict = tuple[str, str]


def main(tell: Callable[..., None], folder: str, texts: dict[str, str], tests: list[tuple[str, str]]) -> None:
    """Try one test after the other.

    Args:
        tell: takes `importing` a file, `trying` a test, and of each its `name`, `state` and what is `said`.
        folder: where the student's files lie.
        texts: of the files of tests, by name.
        tests: to try, each as its file and its name.
    """
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    modules: dict[str, types.ModuleType | Verdict] = {}
    for file, name in tests:
        if file not in modules:
            tell(importing=file)
            modules[file] = load(file, texts[file], folder)
        tell(trying=name)
        module = modules[file]
        verdict = module if isinstance(module, tuple) else attempt(getattr(module, name), folder)
        tell(name=name, state=verdict[0], said=verdict[1])


def load(file: str, text: str, folder: str) -> types.ModuleType | Verdict:
    """Return the tests of a file, which import the student's; or what became of that."""
    module = types.ModuleType(Path(file).stem)
    try:
        exec(compile(text, file, "exec"), module.__dict__)
    except BaseException as error:
        return judge(error, folder)
    return module


def attempt(test: Any, folder: str) -> Verdict:
    """Return the state that a test finds, and what it says."""
    try:
        test()
    except BaseException as error:  # a student may raise anything, SystemExit too
        return judge(error, folder)
    return "done", ""


def judge(error: BaseException, folder: str) -> Verdict:
    """Return what an exception means, and where in the student's files it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if Path(frame.filename).parent == Path(folder)]
    words = " ".join(str(error).split())
    if isinstance(error, NotImplementedError) and theirs and frames[-1] in theirs:
        return "to do", words
    if isinstance(error, AssertionError) and frames and frames[-1] not in theirs:
        return "wrong", words  # a test's own words
    place = ""
    if theirs and not isinstance(error, SyntaxError):  # which says by itself where it is
        place = f" ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})"
    return "wrong", f"{type(error).__name__}: {words}{place}"
