"""One run of a test file, in a process of its own, in which a module holds the Function of a text."""

import importlib.util
import linecache
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from amal.sandbox import Ending, Limits, Sandbox

from . import mutants

PASSED, NOTHING_FOUND = 0, 5  # pytest's exit statuses
PRELOADED = ["torch", "torch.fx.experimental.symbolic_shapes", "pytest", "amal.course.trial"]
"""Torch imports the second, and sympy with it, at the first gradient with a grad_output: half a second."""


@dataclass(frozen=True)
class Trial:
    """Pytest's exit status, None if it did not come to its end; the first failure; how the process ended."""

    status: int | None
    failed: str
    ending: Ending

    @property
    def how(self) -> str:
        """Say in a few words what stopped a run."""
        if self.status is not None:
            return self.failed or f"pytest's exit status {self.status}"
        if self.ending.killed:
            return f"it {self.ending}"
        limits = {"time": "the time limit", "memory": "the memory limit"}
        return limits.get(self.ending.kind, "a crash, or an exit out of turn")


def trial(sandbox: Sandbox, test_file: Path, module: str, names: tuple[str, ...], text: str, limits: Limits) -> Trial:
    """Run pytest on a file in a new process in which a module holds the Function of a text, under some names."""
    status, failed = None, ""
    arguments = str(test_file), module, names, text
    for answer in sandbox.run("amal.course.trial:run_pytest", *arguments, limits=limits):
        match answer:
            case {"status": status, "failed": failed}:
                pass
            case Ending():
                ending = answer
    return Trial(status, failed, ending)


def run_pytest(tell: Callable[..., None], test_file: str, module: str, names: tuple[str, ...], text: str) -> None:
    """Do one run, and tell how it ended: pytest's `status`, and the first test that `failed`."""
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
    plugins = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # the second takes a second, to say nothing
    # no settings of theirs
    options = ["-x", "-q", "--no-header", *plugins, f"--rootdir={directory}", "-c", os.devnull]
    status = int(pytest.main([*options, test_file], plugins=[first]))
    tell(status=status, failed=first.name)


def stand_in(module: str, names: tuple[str, ...], text: str, directory: str) -> ModuleType:
    """Return a module that holds the Function of a text under some names, and finds others where they were.

    Args:
        module: its full name.
        names: what the test file calls the Function.
        text: of the solution or of a mutant.
        directory: of the test file, where the author's own module may be, with other Functions and helpers.
    """
    substitute = ModuleType(module)
    file = f"<{module}, as amal grade has it>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space = substitute.__dict__
    exec(compile(text, file, "exec"), space)
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
    return substitute


def _own_module(module: str, directory: str) -> ModuleType | None:
    """Return the module of that name that the author of the tests has, if any."""
    parts = module.split(".")
    for folder in (directory, *sys.path):
        path = Path(folder or ".", *parts).with_suffix(".py")
        spec = importlib.util.spec_from_file_location(f"{module} of the author", path) if path.is_file() else None
        if spec is not None and spec.loader is not None:
            own = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(own)
            return own
    return None
