"""What several tests of a resumed training begin with."""

import shutil
from pathlib import Path

import killing
import pytest

from amal.runs import launch


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a run")
    launch(killing.run, ["--run-dir", str(folder / "run")])
    return folder / "run"


@pytest.fixture
def run_dir(a_run, tmp_path):
    return Path(shutil.copytree(a_run, tmp_path / "run"))
