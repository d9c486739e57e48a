"""How the tests run a script: in this process, or from the shell."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from amal import cli
from amal.experiments import without_number
from amal.runs import launch
from amal.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
BRIEFLY = {
    "tme1.chain_rule": "--epochs 5",
    "tme1.regression": "--epochs 30",
    "tme1.stacked_linear": "--epochs 30",
    "tme1.classification": "--epochs 3",
    "tme2.descent": "--epochs 2",
    "tme2.regressor": "--epochs 2 --seeds 1",
    "tme2.four_gaussians": "--epochs 1 --seeds 1",
    "tme2.three_descents": "--epochs 2 --seeds 1",
    "tme2.checkerboard": "--settings 3 10 5 10 --seeds 1",
    "tme2.learning_rate": "--iterations 4 --seeds 1 --evaluate-every 2 --lr 0.01 0.003",
    "tme2.depth": "--iterations 3 --seeds 1 --relu-lr 0.003",
    "tme3.perceptron_to_mlp": "--epochs 1",
    "tme3.classifier": "--epochs 2",
    "tme3.convolution": "--epochs 1 --examples 100 --models Conv1d Conv2d",
    "tme3.latent_classifier": "--epochs 1",
    "tme3.reference_example": "--epochs 1 --variants 'without dropout'",  # processes do not drop the same units
    "tme3.autoencoder": "--epochs 1 --models 10 30-8",
    "tme3.interpolation": "--epochs 1 --model 30",
    "tme3.highway": "--epochs 1 --classifier-epochs 1 --depths 2 4 --width 20",
    "tme3.latent": "--epochs 1 --variants original",
}
"""The scripts that train, and settings with which they are done in seconds."""


def run(script, tmp_path, *args):
    """Run a script in this process; return its metrics.json and its TensorBoard events."""
    launch(script.run, ["--run-dir", str(tmp_path / "run"), "--no-progress", *args])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["status"] == "completed"
    return metrics["metrics"], events_of(tmp_path / "run")


def events_of(run_dir):
    """Return what TensorBoard finds in a folder, its tags without the number of the experiment."""
    return PlainTags(str(run_dir), {"scalars": 0, "images": 0, "histograms": 0}).Reload()


class PlainTags(EventAccumulator):
    """What TensorBoard finds, to be asked for `loss/train` rather than `1.4 loss/train`."""

    def Tags(self):
        found = super().Tags()
        return {kind: list(map(without_number, of)) if isinstance(of, list) else of for kind, of in found.items()}

    def Scalars(self, tag):
        return super().Scalars(self._numbered("scalars", tag))

    def Images(self, tag):
        return super().Images(self._numbered("images", tag))

    def Histograms(self, tag):
        return super().Histograms(self._numbered("histograms", tag))

    def Tensors(self, tag):
        return super().Tensors(self._numbered("tensors", tag))

    def _numbered(self, kind, tag):
        return next((full for full in super().Tags()[kind] if without_number(full) == tag), tag)


def answer(*args):
    """Return what an `amal` command prints and its exit status, without a process of its own."""
    printed, complaint, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complaint):
        try:
            cli.app.cli(args=args)
        except SystemExit as stop:
            status = stop.code
    return subprocess.CompletedProcess(args, status, printed.getvalue(), complaint.getvalue())


def command(*args, **options):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", *args], capture_output=True, text=True, env=env, check=False, **options
    )


class Warm(Sandbox):
    """A sandbox that outlasts the command which made it."""

    kept: ClassVar[dict] = {}

    @classmethod
    def one(cls, preload=(), variables=None):
        """Return one for these modules, variables, environment and folder: the one of before, if any."""
        surroundings = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        key = json.dumps([preload, variables, surroundings, os.getcwd(), sys.path])
        cls.kept[key] = cls.kept.pop(key, None) or cls(preload, variables or {})
        if len(cls.kept) > 3:  # each holds torch
            cls.kept.pop(next(iter(cls.kept))).end()
        return cls.kept[key]

    def __exit__(self, *_):
        pass

    def end(self):
        super().__exit__()

    @classmethod
    def end_all(cls):
        while cls.kept:
            cls.kept.popitem()[1].end()
