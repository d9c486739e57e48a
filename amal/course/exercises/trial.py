"""What runs in the sandbox for `amal check DIR`: it tries a student's files, and tells the result of each test."""

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
        state, said = module if isinstance(module, tuple) else attempt(getattr(module, name), folder)
        tell(name=name, state=state, said=said)


def load(file: str, text: str, folder: str) -> types.ModuleType | Verdict:
    """Return the tests of a file, which import the student's; or what became of that."""
    module = types.ModuleType(Path(file).stem)
    try:
        exec(compile(text, file, "exec"), module.__dict__)
    except BaseException as error:
        return verdict(error, folder)
    return module


def attempt(test: Any, folder: str) -> Verdict:
    """Return the state that a test finds, and what it says."""
    try:
        test()
    except BaseException as error:  # a student may raise anything, SystemExit too
        return verdict(error, folder)
    return "done", ""


def verdict(error: BaseException, folder: str) -> Verdict:
    """Say what an exception means, and where in the student's files it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if Path(frame.filename).parent == Path(folder)]
    said = " ".join(str(error).split())
    if isinstance(error, NotImplementedError) and theirs and frames[-1] in theirs:
        return "to do", said
    if isinstance(error, AssertionError) and frames and frames[-1] not in theirs:
        return "wrong", said  # a test's own words
    where = f" ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})" if theirs else ""
    if isinstance(error, SyntaxError):  # it says where by itself
        where = ""
    return "wrong", f"{type(error).__name__}: {said}{where}"
