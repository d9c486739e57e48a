"""How the tests run a script: in this process, or from the shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from amal.training import launch

ROOT = Path(__file__).parent.parent


def run(script, tmp_path, *args):
    """Run a script in this process; return its metrics.json and its TensorBoard events."""
    launch(script.run, ["--run-dir", str(tmp_path / "run"), "--no-progress", *args])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["status"] == "completed"
    return metrics["metrics"], events_of(tmp_path / "run")


def events_of(run_dir):
    return EventAccumulator(str(run_dir), {"scalars": 0, "images": 0, "histograms": 0}).Reload()


def command(*args, **options):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", *args], capture_output=True, text=True, env=env, check=False, **options
    )
