"""What is being run: the script, how it was asked for, what it says of itself; for config.json and TensorBoard."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amal.experiments import Experiment
from amal.training.config import HARMLESS, RunConfig

UNINTERESTING = {*HARMLESS, "evaluate_every"} - {"epochs"}
"""Settings that make no difference to what a run finds: left out of the table of hyper-parameters."""
HERE = ("--run-dir", "--data-root")
"""Options that say where things lie on this machine."""
SWITCHES = ("--resume", "--no-resume", "--progress", "--no-progress")


@dataclass(frozen=True)
class Identity:
    """What is being run, and how it was asked for."""

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
        """Return the command that gives the same run anywhere: without folders, and what makes no difference."""
        kept, args = [], [arg.replace("_", "-") if arg.startswith("--") else arg for arg in self.args]
        for before, arg, given in zip(["", *args], args, self.args, strict=False):
            if before not in HERE and arg.split("=")[0] not in (*HERE, *SWITCHES):
                kept.append(given)
        return f"python -m {self.name} {shlex.join(kept)}".rstrip()

    def about(self) -> str:
        """Return in Markdown what this is, the command, and what to look at in TensorBoard, in which order."""
        experiment = self.experiment
        command = f"    {self.command()}"
        if experiment is None:
            return command
        steps = [step.strip().rstrip(".") for step in experiment.look.split(";")] if experiment.look else []
        look = "".join(f"\n{place}. {step}" for place, step in enumerate(steps, start=1))
        heads = f"**{experiment.number} {experiment.title}**\n\nReported: {experiment.reported}\n\n{command}"
        return f"{heads}\n\n**Look at:**\n{look}" if look else heads


def asked(config: RunConfig) -> dict[str, Any]:
    """Return the settings that are not the default ones, and make a difference."""
    given = {}
    for field in dataclasses.fields(config):
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        value = getattr(config, field.name)
        if field.name not in UNINTERESTING and value != default:
            given[field.name] = value
    return given


def common(identity: Identity, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that all runs of an experiment share, to tell its rows in a table from those of others."""
    number = f"{identity.experiment.number} " if identity.experiment else ""
    shared = {name: settings[name] for name in ("dataset", "seed") if name in settings}
    return {"experiment": number + identity.name.split(".")[-1], **shared}


def as_markdown(settings: Mapping[str, Any]) -> str:
    """Set the settings as a table, but for where things lie on this machine, and whether the run was resumed."""
    rows = [
        f"| {name} | {value} |" for name, value in settings.items() if name not in ("run_dir", "data_root", "resume")
    ]
    return "\n".join(["| setting | value |", "|---|---|", *rows])
