"""The script of a run, its command and its experiment, for config.json and TensorBoard."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amal.experiments import Experiment
from amal.training.config import HARMLESS, RunConfig

IRRELEVANT = {*HARMLESS, "evaluate_every"} - {"epochs"}
"""Settings that make no difference to the results: left out of the table of hyper-parameters."""
PLACES = ("--run-dir", "--data-root")
"""Options that say where things lie on this machine."""
SWITCHES = ("--resume", "--no-resume", "--progress", "--no-progress")


@dataclass(frozen=True)
class RunInfo:
    """What is run, and by which command."""

    name: str
    """The module, such as tme2.descent."""
    args: Sequence[str]
    """The command line."""
    experiment: Experiment | None
    """What the module's docstring declares."""

    def record(self) -> dict[str, Any]:
        """Return it as config.json and metrics.json hold it."""
        return {
            "script": self.name,
            "command": f"python -m {self.name} {shlex.join(self.args)}".rstrip(),
            "experiment": self.experiment and dataclasses.asdict(self.experiment),
        }

    def command(self) -> str:
        """Return the command of the same run on any machine: without folders and switches."""
        names = [arg.replace("_", "-") if arg.startswith("--") else arg for arg in self.args]
        args = [
            arg
            for previous, name, arg in zip(["", *names], names, self.args, strict=False)
            if previous not in PLACES and name.split("=")[0] not in (*PLACES, *SWITCHES)
        ]
        return f"python -m {self.name} {shlex.join(args)}".rstrip()

    def description(self) -> str:
        """Return in Markdown what this is, the command, and what to look at in TensorBoard."""
        experiment = self.experiment
        command = f"    {self.command()}"
        if experiment is None:
            return command
        title = f"**{experiment.number} {experiment.title}**"
        head = f"{title}\n\nReported: {experiment.reported}\n\n{command}"
        if not experiment.look:
            return head
        steps = [step.strip().rstrip(".") for step in experiment.look.split(";")]
        look = "".join(f"\n{number}. {step}" for number, step in enumerate(steps, start=1))
        return f"{head}\n\n**Look at:**\n{look}"

    def shared_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that all runs of this experiment share, to mark its rows in a table."""
        number = f"{self.experiment.number} " if self.experiment else ""
        shared = {name: settings[name] for name in ("dataset", "seed") if name in settings}
        return {"experiment": number + self.name.split(".")[-1], **shared}


def non_default_settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that are not the default ones, and make a difference."""
    settings = {}
    for field in dataclasses.fields(config):
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        value = getattr(config, field.name)
        if field.name not in IRRELEVANT and value != default:
            settings[field.name] = value
    return settings


def as_markdown(settings: Mapping[str, Any]) -> str:
    """Format the settings as a table, without folders and `resume`."""
    names = [name for name in settings if name not in ("run_dir", "data_root", "resume")]
    rows = [f"| {name} | {settings[name]} |" for name in names]
    return "\n".join(["| setting | value |", "|---|---|", *rows])
