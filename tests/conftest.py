import gc
import importlib
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from running import Warm
from small_data import network, small, small_usps  # noqa: F401 (fixtures)

# Warnings that others raise against others; every other warning is an error.
NOT_OURS = (
    r"ignore:Guards may run slower on Python 3\.13\.0:RuntimeWarning",  # torch's compiler, on that Python alone
    "ignore:`torch.jit.script",  # torch imports it for its forward-mode rules and its compiler
    "ignore:.*torch.autograd.function.Function.* should not be instantiated:DeprecationWarning",  # torch.compile, 2.11
    "ignore:html5lib's sanitizer is deprecated:DeprecationWarning",  # TensorBoard's server imports it
    r"ignore:'\w+' (argument is )?deprecated:DeprecationWarning",  # a matplotlib older than its pyparsing
)


def pytest_configure(config):
    for warning in NOT_OURS:
        config.addinivalue_line("filterwarnings", warning)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test's cases marked `one_in(n)` every n-th is run by default; the others are slow."""
    counts = Counter()
    for item in items:
        mark = item.get_closest_marker("one_in")
        if mark and item.get_closest_marker("slow") is None:
            if counts[item.function] % mark.args[0]:
                item.add_marker("slow")
            counts[item.function] += 1


def pytest_collection_finish():
    gc.freeze()  # what was imported stays: the collector need not go through it again and again


# A shell starts what runs in the background with SIGINT ignored, and what is started from there inherits that:
# what waits for a command to be interrupted would wait for ever.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

torch.set_num_threads(1)  # the tensors are small, and threads that wait for each other on a busy machine are slow

settings.register_profile("the same examples every time", derandomize=True, deadline=None)
settings.load_profile("the same examples every time")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _warm():
    """Sandboxes of the commands that run in this process outlast a command: the next one need not import torch."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("amal.doctor.isolation", "amal.course.grading", "amal.course.exercises.progress"):
            patch.setattr(importlib.import_module(name), "Sandbox", Warm.one)
        yield
    Warm.end_all()


@pytest.fixture
def real_data():
    """The folder with the real data files; tests that want it are skipped where there is none."""
    root = os.environ.get("AMAL_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("AMAL_DATA names no folder with the real data")
    return Path(root)
