import os
from pathlib import Path

import pytest
import torch


def pytest_configure(config):
    # torch itself imports torch.jit.script for its forward-mode rules, and warns of it
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit.script` is deprecated:FutureWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def real_data():
    """The folder with the real data files; tests that want it are skipped where there is none."""
    root = os.environ.get("AMAL_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("AMAL_DATA names no folder with the real data")
    return Path(root)
