"""One run of a test file, in a process of its own, in which a module holds the Function of a text."""

import gc
import importlib.util
import json
import linecache
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from amal.processes import kill_group, preloaded_process

from . import mutants

PASSED, NOTHING_FOUND = 0, 5  # pytest's exit statuses
PRELOADED = ["torch", "pytest", "amal.checking.trial"]


@dataclass(frozen=True)
class Trial:
    """What pytest said: its exit status, None if it did not come to an end; the first failure; all that was printed."""

    status: int | None
    failed: str
    output: str
    timed_out: bool = False

    @property
    def how(self) -> str:
        """Say in a few words what stopped a run."""
        if self.timed_out:
            return "the time limit"
        if self.status is None:
            return "a crash, or an exit out of turn"
        return self.failed or f"pytest's exit status {self.status}"


def trial(test_file: Path, module: str, names: tuple[str, ...], text: str, time_limit: float) -> Trial:
    """Run pytest on a file in a new process in which a module holds the Function of a text, under some names."""
    with tempfile.TemporaryDirectory(prefix="amal-grade-") as folder:
        process = preloaded_process(PRELOADED, target=_run_pytest, args=(str(test_file), module, names, text, folder))
        process.start()
        try:
            process.join(time_limit)
        finally:
            timed_out = process.is_alive()
            if timed_out:
                kill_group(process)
                process.join()
        try:
            told = json.loads(Path(folder, "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            told = {"status": None, "failed": ""}
        output = Path(folder, "output.txt")
        said = output.read_text(encoding="utf-8", errors="replace")[-20_000:] if output.exists() else ""
    return Trial(None if timed_out else told["status"], told["failed"], said, timed_out)


def _run_pytest(test_file: str, module: str, names: tuple[str, ...], text: str, folder: str) -> None:
    """Do one run, and write down how it ended."""
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, so that all of it can be stopped
    gc.freeze()  # pytest collects garbage twice: not through all of torch's objects each time
    output = os.open(os.path.join(folder, "output.txt"), os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    os.environ.pop("PYTEST_ADDOPTS", None)
    import pytest

    class FirstFailure:
        """Notes the first test that failed."""

        name = ""

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed and not self.name:
                self.name = report.nodeid.split("::", 1)[-1]

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed and not self.name:
                self.name = "the import of the file"

    first = FirstFailure()
    directory = os.path.dirname(os.path.abspath(test_file))
    sys.path.insert(0, directory)
    sys.modules[module] = stand_in(module, names, text, directory)
    settings = Path(folder, "pytest.ini")
    settings.write_text("[pytest]\n", encoding="utf-8")
    without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # the second takes a second, to say nothing
    options = ["-x", "-q", "--no-header", *without, f"--rootdir={directory}", "-c", str(settings)]
    status = int(pytest.main([*options, test_file], plugins=[first]))
    Path(folder, "result.json").write_text(json.dumps({"status": status, "failed": first.name}), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # whatever the tests left running does not keep us


def stand_in(module: str, names: tuple[str, ...], text: str, directory: str) -> ModuleType:
    """Return a module that holds the Function of a text under some names, and finds others where they were.

    Args:
        module: its full name.
        names: what the test file calls the Function.
        text: of the solution or of a mutant.
        directory: of the test file, where the author's own module may be, with other Functions and helpers.
    """
    made = ModuleType(module)
    where = f"<{module}, as amal grade has it>"
    linecache.cache[where] = (len(text), None, text.splitlines(keepends=True), where)
    space = made.__dict__
    exec(compile(text, where, "exec"), space)
    function = space[mutants.class_of(text)]
    space.update(dict.fromkeys(names, function))
    own: list[ModuleType | None] = []

    def others(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not own:
            own.append(_own_module(module, directory))
        if own[0] is not None and hasattr(own[0], name):
            return getattr(own[0], name)
        operation = mutants.operation_of(name)
        if operation is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        solution: dict[str, Any] = {"__name__": module}
        exec(mutants.SOLUTIONS[operation], solution)
        return solution[mutants.class_of(mutants.SOLUTIONS[operation])]

    space["__getattr__"] = others
    return made


def _own_module(module: str, directory: str) -> ModuleType | None:
    """Return the module of that name that the author of the tests has, if any."""
    parts = module.split(".")
    for folder in (directory, *sys.path):
        path = Path(folder or ".", *parts).with_suffix(".py")
        spec = importlib.util.spec_from_file_location(f"{module} of the author", path) if path.is_file() else None
        if spec is not None and spec.loader is not None:
            found = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(found)
            return found
    return None
