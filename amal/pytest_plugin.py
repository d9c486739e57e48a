"""`pytest --doctor`: an item for each autograd Function of a file, whose failure is what the doctor says of it.

The text of a file says which Functions there are; it runs in a sandbox alone, never in pytest's process. pytest imports
this module in every run where amal is installed, so that it imports nothing that takes time before it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from amal.doctor.findings import Diagnosis
    from amal.doctor.isolation import Report
    from amal.doctor.source_functions import Place
    from amal.sandbox import Sandbox

NAME = "amal doctor"
"""Of the plugin that is there where `--doctor` was given."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, for the command line and for the settings of a project."""
    group = parser.getgroup("doctor", "the gradient doctor of amal")
    group.addoption(
        "--doctor",
        action="store_true",
        help="examine the autograd Functions in the files given, an item for each. Folders are searched for files that "
        "define some; a file that is no test file is not imported but run in a process of its own",
    )
    group.addoption(
        "--doctor-not-examined",
        choices=("skip", "fail"),
        help="what becomes of a Function that could not be examined (doctor_not_examined, else skip)",
    )
    parser.addini("doctor_files", "globs of the files that --doctor examines besides those given by name", "args")
    parser.addini("doctor_not_examined", "skip or fail a Function that could not be examined", default="skip")
    parser.addini("doctor_time_limit", "seconds for the import of a file, and for each Function", default="30")
    parser.addini("doctor_memory_limit", "GB that the processes of a file may hold together", default="4")


def pytest_configure(config: pytest.Config) -> None:
    """Begin, where the doctor is asked for."""
    if config.getoption("--doctor"):
        config.pluginmanager.register(Doctor(config), NAME)


class Doctor:
    """Which files are examined, and how.

    Raises:
        pytest.UsageError: a setting cannot be read, or a glob finds no file.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.files = set(self._globbed())
        self.not_examined = config.getoption("--doctor-not-examined") or config.getini("doctor_not_examined")
        if self.not_examined not in ("skip", "fail"):
            raise pytest.UsageError(f"doctor_not_examined = {self.not_examined}: expected skip or fail")
        self.limits = self._number("doctor_time_limit"), self._number("doctor_memory_limit")
        self.refused: dict[tuple[Path, str], str] = {}
        """A file and why it could not be examined -> the Function of which that was said."""
        self._sandbox: Sandbox | None = None
        if config.args_source is not config.ArgsSource.ARGS:
            walked = [(config.invocation_params.dir / of).resolve() for of in config.args]
            config.args += [str(of) for of in sorted(self.files) if not any(map(of.is_relative_to, walked))]

    def _globbed(self) -> Iterator[Path]:
        for pattern in self.config.getini("doctor_files"):
            try:
                found = [path for path in self.config.rootpath.glob(pattern) if path.suffix == ".py"]
            except (NotImplementedError, ValueError) as error:
                raise pytest.UsageError(f"doctor_files: {pattern}: {error}") from None
            if not found:
                raise pytest.UsageError(f"doctor_files: {pattern} finds no Python file in {self.config.rootpath}")
            yield from found

    def _number(self, setting: str) -> float:
        said = self.config.getini(setting)
        try:
            number = float(said)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise pytest.UsageError(f"{setting} = {said}: expected a positive number")
        return number

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """Collect the Functions of a file; what is no test file is read, not imported."""
        collectors = yield
        if file_path.suffix != ".py":
            return collectors
        is_test = file_path.name == "conftest.py" or any(map(file_path.match, self.config.getini("python_files")))
        if not is_test:
            collectors = [of for of in collectors if type(of) is not pytest.Module]
        named = parent.session.isinitpath(file_path) and not is_test
        if named or file_path in self.files or not (self.files or is_test):
            # not below the folder's node: pytest imports the __init__.py of a Package before what is in it runs
            file = DoctorFile.from_parent(parent.session, path=file_path)
            if named or file.defines_any():  # pytest refuses a file that is named and collected by nobody
                collectors.append(file)
        return collectors

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a skip be one of the line of the Function, not of the line here that raises it."""
        report = yield
        if isinstance(item, DoctorItem) and report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (str(item.path), item.place.line, report.longrepr[2])
        return report

    def examine(self, path: Path, name: str) -> Report:
        """Return what comes of examining one Function, in a sandbox that serves all that this process examines.

        Raises:
            UserError: the file cannot be imported, or has no such Function after all.
        """
        from amal.doctor.isolation import examine_file, examining

        if self._sandbox is None:
            self._sandbox = examining()
        report = examine_file(path, (name,), *self.limits, sandbox=self._sandbox)
        if any(finding.code == "killed" for diagnosis in report.diagnoses for finding in diagnosis.findings):
            self.pytest_unconfigure()  # the sandbox may be dead too
        return report

    def pytest_unconfigure(self) -> None:
        """End the sandbox."""
        if self._sandbox is not None:
            self._sandbox.__exit__()
            self._sandbox = None


class DoctorFile(pytest.File):
    """A file that defines autograd Functions."""

    def defines_any(self) -> bool:
        """Whether there is a Function, or a text that cannot be read: `collect` says why."""
        try:
            return any(True for _ in self.collect())
        except self.CollectError:
            return True

    def collect(self) -> Iterator[DoctorItem]:
        """Yield an item for each Function, as the text of the file has them."""
        from amal.doctor.source_functions import functions_in
        from amal.errors import UserError

        try:
            functions = functions_in(self.path)
        except UserError as error:
            raise self.CollectError(str(error)) from None
        for name, place in functions.items():
            yield DoctorItem.from_parent(self, name=name, place=place)


class DoctorItem(pytest.Item):
    """A Function to examine: it passes if it is correct."""

    diagnosis: Diagnosis | None = None
    """What is wrong with it."""

    def __init__(self, *, place: Place, **options: Any) -> None:
        super().__init__(**options)
        self.place = place

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, the line of the class from 0, and the name."""
        return self.path, self.place.line - 1, self.name

    def runtest(self) -> None:
        """Examine the Function, and fail or skip with what is said of it."""
        from amal.doctor.findings import as_text

        if self.place.local:
            self._unexamined(f"it is defined within {self.name.rpartition('.')[0]}, out of reach")
        report, why = self._examined()
        if report is None:
            if why.startswith(f"no Function {self.name}"):
                pytest.skip(f"{self.name} is no autograd Function")
            first = self._doctor.refused.setdefault((self.path, why), self.name)
            if first != self.name:  # once is enough: it is a fault of the file
                self._unexamined(f"for the same reason as {first}")
            pytest.fail(why, pytrace=False)
        if report.printed:
            self.add_report_section("call", "stdout", report.printed)
        for diagnosis in report.diagnoses:
            if diagnosis.verdict == "not examined":
                self._unexamined(" ".join(of.message for of in diagnosis.findings if of.severity == "error"))
            if diagnosis.verdict != "correct":
                self.diagnosis = diagnosis
                pytest.fail(as_text([diagnosis]), pytrace=False)
            self.add_report_section("call", "doctor", as_text([diagnosis]))

    @property
    def _doctor(self) -> Doctor:
        return self.config.pluginmanager.get_plugin(NAME)  # type: ignore[return-value]

    def _examined(self) -> tuple[Report | None, str]:
        """Return what came of the examination; or nothing, and why."""
        from amal.errors import UserError

        try:
            return self._doctor.examine(self.path, self.name), ""
        except UserError as error:
            return None, str(error)

    def _unexamined(self, why: str) -> None:
        words = f"{self.name} was not examined: {why}"
        if self._doctor.not_examined == "fail":
            pytest.fail(words, pytrace=False)
        pytest.skip(words)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **options: Any) -> Any:
        """Return the diagnosis; in a line, for pytest's summary and JUnit, it is the codes and where to look."""
        said = super().repr_failure(excinfo, *args, **options)
        crash = getattr(said, "reprcrash", None)
        if self.diagnosis is not None and crash is not None:
            wrong = [of for of in self.diagnosis.findings if of.severity == "error"]
            crash.message = ", ".join(of.code + (f" ({of.input})" if of.input else "") for of in wrong)
            crash.path, crash.lineno = str(self.path), wrong[0].line or self.place.line
        return said
