"""The runs in a folder: how each ended, and which differ in their seed alone."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from amal.errors import UserError
from amal.locks import is_locked

from .commands import normalise, shorten_paths

SAME_RUN = ("seed", "run_dir", "data_root", "progress", "resume", "checkpoint_every")
"""Settings in which runs of one group may differ."""


@dataclass(frozen=True)
class Run:
    """One run directory."""

    folder: Path
    name: str
    """Its path below the folder in which runs are looked for."""
    script: str
    status: str
    """`completed`, or how far it came in words; only a completed run has results."""
    command: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    experiment: Mapping[str, str] = field(default_factory=dict)
    """The declaration of the script when it ran."""
    measured: str = ""
    seconds: float = math.nan
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def seed(self) -> int | str:
        """The seed."""
        seed = self.config.get("seed", 0)
        return seed if isinstance(seed, int) else str(seed)


@dataclass(frozen=True)
class Group:
    """Completed runs of one script that differ in their seed alone, in the order of the seeds."""

    runs: Sequence[Run]

    @property
    def first(self) -> Run:
        """The run with the least seed."""
        return self.runs[0]

    def values(self, metric: str) -> list[float]:
        """Return the values of a metric, of the runs that have it."""
        return [run.metrics[metric] for run in self.runs if metric in run.metrics]

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics, in the order in which they were written."""
        return list(dict.fromkeys(name for run in self.runs for name in run.metrics))

    @property
    def seeds(self) -> list[int | str]:
        """The seeds."""
        return [run.seed for run in self.runs]

    @property
    def command_without_seed(self) -> str:
        """The command without its seed and the options that matter on one machine only."""
        return normalise(self.first.command)

    @property
    def command(self) -> str:
        """The command without the options that matter on one machine only; S for several seeds."""
        command = self.command_without_seed
        if len(self.runs) > 1:
            return f"{command} --seed S"
        return command if self.first.seed == 0 else f"{command} --seed {self.first.seed}"


def find_runs(folders: Iterable[Path]) -> list[Run]:
    """Return every run in some folders and below, oldest first where folders are named by date.

    Raises:
        UserError: a folder is not there, or there is no run in any.
    """
    runs: dict[Path, Run] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is {'no folder' if folder.exists() else 'not there'}")
        run_folders = {path.parent for name in ("config.json", "metrics.json") for path in folder.rglob(name)}
        for run_dir in sorted(run_folders):
            name = run_dir.relative_to(folder).as_posix()
            runs.setdefault(run_dir.resolve(), read_run(run_dir, run_dir.resolve().name if name == "." else name))
    if not runs:
        raise UserError(f"no runs in {', '.join(map(str, folders))}: `amal labs` makes some")
    return list(runs.values())


def read_run(folder: Path, name: str) -> Run:
    """Read the files of a run. If one is damaged, the status says so."""
    is_running = is_locked(folder)  # first: a run that ends now is seen to have ended
    config, metrics = read_json(folder / "config.json"), read_json(folder / "metrics.json")
    identity = config or metrics
    if not isinstance(identity.get("script"), str) or not isinstance(config.get("config"), dict):
        which = "metrics.json" if (folder / "config.json").exists() and config else "config.json"
        return Run(folder, name, str(identity.get("script", "")), f"damaged: {which} cannot be read")
    run = Run(
        folder,
        name,
        identity["script"],
        status=find_status(folder, metrics, is_running),
        command=str(identity.get("command", "")),
        config=config["config"],
        environment=texts(config.get("environment")),
        experiment=texts(config.get("experiment")),
    )
    if run.status != "completed":
        return run
    measures = metrics.get("metrics")
    if not isinstance(measures, dict):
        return replace(run, status="damaged: metrics.json holds no metrics")
    odd = [name for name, value in {"seconds": metrics.get("seconds"), **measures}.items() if is_odd(value)]
    if odd:
        return replace(run, status=f"damaged: {odd[0]} is no number in metrics.json")
    return replace(
        run,
        measured=str(metrics.get("measured", "")),
        seconds=as_number(metrics.get("seconds")),
        metrics={name: as_number(value) for name, value in measures.items() if math.isfinite(as_number(value))},
    )


def find_status(folder: Path, metrics: Mapping[str, Any], is_running: bool) -> str:
    """Return how a run ended, in words."""
    path = folder / "metrics.json"
    if is_running and not (metrics and path.stat().st_mtime >= (folder / "config.json").stat().st_mtime):
        return "still running"
    if not path.exists():
        return "killed, or still running on another machine: it wrote no end"
    if not metrics:
        return "damaged: metrics.json cannot be read"
    return shorten_paths(str(metrics.get("status", "damaged: metrics.json has no status")))


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """Return completed runs in groups that differ in their seed alone; the last run of a seed counts."""
    groups: dict[str, dict[int | str, Run]] = {}
    for run in runs:
        if run.status == "completed":
            config = run.config.items()  # an option that is off equals one that did not exist yet
            settings = {name: value for name, value in config if value not in (None, False) and name not in SAME_RUN}
            key = json.dumps([run.script, settings], sort_keys=True)
            groups.setdefault(key, {})[run.seed] = run
    return [
        Group(sorted(group.values(), key=lambda run: (isinstance(run.seed, str), run.seed)))
        for group in groups.values()
    ]


def machine_kind(environment: Mapping[str, str]) -> str:
    """Return the system, the kind of processor, and the GPU if there is one."""
    platform = environment.get("machine", "")
    kind = re.search(r"x86_64|amd64|aarch64|arm64|i686|ppc64le|riscv64", platform, re.IGNORECASE)
    gpu = environment.get("cuda", "none")
    return ", ".join(filter(None, [platform.split("-")[0], kind and kind[0], "CPU" if gpu == "none" else gpu]))


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a file; nothing if it is missing, or not what a run writes."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        # no NaN, and no half of a character except those for the bytes of a path that is no text
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode(errors="surrogateescape")
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def texts(value: Any) -> dict[str, str]:
    """Return a mapping with its values as text; an empty one for anything else."""
    return {str(key): str(entry) for key, entry in value.items()} if isinstance(value, dict) else {}


def as_number(value: Any) -> float:
    """Return a number; NaN for anything else, and for a number that is too large."""
    try:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan


def is_odd(value: Any) -> bool:
    """Whether a value is neither a number nor null, which runs write for NaN and infinity."""
    return value is not None and math.isnan(as_number(value))
