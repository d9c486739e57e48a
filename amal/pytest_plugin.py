"""`pytest --doctor`: an item for each autograd Function of a file, which fails with the doctor's diagnosis.

The text of a file says which Functions there are; the file runs only in a sandbox, never in pytest's
process. pytest imports this module in every run where amal is installed, so its imports are cheap.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from amal.doctor.findings import Diagnosis
    from amal.doctor.isolation import Report
    from amal.doctor.source_functions import Place
    from amal.sandbox import Sandbox

NAME = "amal doctor"
"""The name of the plugin that `--doctor` registers."""


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
        help="result of a Function that could not be examined (doctor_not_examined, else skip)",
    )
    parser.addini("doctor_files", "globs of the files that --doctor examines besides those given by name", "args")
    parser.addini("doctor_not_examined", "skip or fail a Function that could not be examined", default="skip")
    parser.addini("doctor_time_limit", "seconds for the import of a file, and for each Function", default="30")
    parser.addini("doctor_memory_limit", "GB that the processes of a file may hold together", default="4")


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin, if there is `--doctor`."""
    if config.getoption("--doctor"):
        config.pluginmanager.register(Doctor(config), NAME)


class Doctor:
    """Collects files, and examines the Functions in them.

    Raises:
        pytest.UsageError: a setting cannot be read, or a glob finds no file.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.files = set(self._glob())
        option = config.getoption("--doctor-not-examined") or config.getini("doctor_not_examined")
        if option not in ("skip", "fail"):
            raise pytest.UsageError(f"doctor_not_examined = {option}: expected skip or fail")
        self.fails_without_examination = option == "fail"
        self.limits = self._number("doctor_time_limit"), self._number("doctor_memory_limit")
        self.complaints: dict[tuple[Path, str], str] = {}
        """A file and why it could not be examined -> the Function that failed with this complaint."""
        self._sandbox: Sandbox | None = None
        if config.args_source is not config.ArgsSource.ARGS:
            folders = [(config.invocation_params.dir / name).resolve() for name in config.args]
            config.args += [str(path) for path in sorted(self.files) if not any(map(path.is_relative_to, folders))]

    def _glob(self) -> Iterator[Path]:
        root = self.config.rootpath
        for pattern in self.config.getini("doctor_files"):
            try:
                paths = [path for path in root.glob(pattern) if path.suffix == ".py"]
            except (NotImplementedError, ValueError) as error:
                raise pytest.UsageError(f"doctor_files: {pattern}: {error}") from None
            if not paths:
                raise pytest.UsageError(f"doctor_files: {pattern} finds no Python file in {root}")
            yield from paths

    def _number(self, setting: str) -> float:
        text = self.config.getini(setting)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise pytest.UsageError(f"{setting} = {text}: expected a positive number")
        return number

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """Collect the Functions of a file. A file that is no test file is read, not imported."""
        collectors = yield
        if file_path.suffix != ".py":
            return collectors
        patterns = ("conftest.py", *self.config.getini("python_files"))
        is_test = any(map(file_path.match, patterns))
        if not is_test:
            collectors = [each for each in collectors if type(each) is not pytest.Module]
        is_argument = parent.session.isinitpath(file_path) and not is_test
        if is_argument or file_path in self.files or not (self.files or is_test):
            # not below the folder's node: pytest imports the __init__.py of a Package before its items run
            file = DoctorFile.from_parent(parent.session, path=file_path)
            if is_argument or file.defines_any():  # pytest refuses an argument that nobody collects
                collectors.append(file)
        return collectors

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Report a skip at the line of the Function, not at the line here that raises it."""
        report = yield
        if isinstance(item, DoctorItem) and report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (str(item.path), item.place.line, report.longrepr[2])
        return report

    def examine(self, path: Path, name: str) -> Report:
        """Examine one Function, in the one sandbox of this process.

        Raises:
            UserError: the file cannot be imported, or has no such Function after all.
        """
        from amal.doctor.isolation import examine_file, examining, last_report

        if self._sandbox is None:
            self._sandbox = examining()
        return last_report(examine_file(path, (name,), *self.limits, sandbox=self._sandbox))

    def pytest_unconfigure(self) -> None:
        """End the sandbox."""
        if self._sandbox is not None:
            self._sandbox.__exit__()
            self._sandbox = None


class DoctorFile(pytest.File):
    """A file that defines autograd Functions."""

    def defines_any(self) -> bool:
        """Whether there is a Function, or a text that cannot be read, as `collect` will say."""
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
    """The diagnosis, if the Function is wrong."""

    def __init__(self, *, place: Place, **options: Any) -> None:
        super().__init__(**options)
        self.place = place

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, the line of the class from 0, and the name."""
        return self.path, self.place.line - 1, self.name

    def runtest(self) -> None:
        """Examine the Function, and fail or skip with the diagnosis."""
        from amal.doctor.findings import as_text
        from amal.errors import UserError

        if self.place.local:
            self._give_up(f"it is defined within {self.name.rpartition('.')[0]}, out of reach")
        complaint = ""
        try:
            report = self._doctor.examine(self.path, self.name)
        except UserError as error:
            complaint = str(error)
        if complaint:  # not in the clause above: pytest would show both exceptions
            self._complain(complaint)
        if report.printed:
            self.add_report_section("call", "stdout", report.printed)
        for diagnosis in report.diagnoses:
            if diagnosis.verdict == "not examined":
                errors = (each for each in diagnosis.findings if each.severity == "error")
                self._give_up(" ".join(error.message for error in errors))
            if diagnosis.verdict != "correct":
                self.diagnosis = diagnosis
                pytest.fail(as_text([diagnosis]), pytrace=False)
            self.add_report_section("call", "doctor", as_text([diagnosis]))

    @property
    def _doctor(self) -> Doctor:
        return self.config.pluginmanager.get_plugin(NAME)  # type: ignore[return-value]

    def _complain(self, complaint: str) -> NoReturn:
        """Fail with what is wrong with the file; once is enough for all its Functions."""
        if complaint.startswith(f"no Function {self.name}"):
            pytest.skip(f"{self.name} is no autograd Function")
        first = self._doctor.complaints.setdefault((self.path, complaint), self.name)
        if first != self.name:
            self._give_up(f"for the same reason as {first}")
        pytest.fail(complaint, pytrace=False)

    def _give_up(self, why: str) -> NoReturn:
        """Skip the Function, which was not examined, or fail, as the settings say."""
        words = f"{self.name} was not examined: {why}"
        if self._doctor.fails_without_examination:
            pytest.fail(words, pytrace=False)
        pytest.skip(words)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **options: Any) -> Any:
        """Return the diagnosis. Its line for pytest's summary and JUnit is the codes and where to look."""
        text = super().repr_failure(excinfo, *args, **options)
        crash = getattr(text, "reprcrash", None)
        if self.diagnosis is not None and crash is not None:
            errors = [each for each in self.diagnosis.findings if each.severity == "error"]
            crash.message = ", ".join(error.code + (f" ({error.input})" if error.input else "") for error in errors)
            crash.path, crash.lineno = str(self.path), errors[0].line or self.place.line
        return text
