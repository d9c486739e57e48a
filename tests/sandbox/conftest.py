"""A pipe that knows when the last process that holds it has ended."""

import os

import pytest
from fifo import Fifo


@pytest.fixture
def fifo(tmp_path):
    fifo = Fifo(tmp_path / "fifo")
    yield fifo
    os.close(fifo.file)
