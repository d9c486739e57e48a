"""Run in a process of its own: tries a student's files, and tells the result of each test as it comes.

The order comes as JSON on standard input: the folder, the tests' texts, and which to try. Each answer is a line of
JSON on standard output, which is out of reach of what the student prints. Imports nothing of amal: it is run as a file.
"""

import json
import os
import sys
import traceback
import types
from pathlib import Path
from typing import Any

Verdict = tuple[str, str]


def main() -> None:
    """Try one test after the other."""
    order = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.path[0] = order["folder"]  # this file's own folder is not for the student to import from
    sys.dont_write_bytecode = True
    modules: dict[str, types.ModuleType | Verdict] = {}

    def tell(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    for file, name in order["tests"]:
        if file not in modules:
            tell(importing=file)
            modules[file] = load(file, order["texts"][file], order["folder"])
        tell(trying=name)
        module = modules[file]
        state, said = module if isinstance(module, tuple) else attempt(getattr(module, name), order["folder"])
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


if __name__ == "__main__":
    main()
