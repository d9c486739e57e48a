"""Every property is shown faults that it must see, and sees them for the right reason."""

import re
from unittest import SkipTest

import pytest
import torch
from faults import FAULTS

from amal.checking import PROPERTIES
from tme1._mistakes import MISTAKES


def test_every_property_has_a_fault_to_see():
    assert {name for name, _, _ in FAULTS} == PROPERTIES.keys()


def test_every_mistake_of_tme1_is_among_the_faults():
    planted = {fault.name for _, fault, _ in FAULTS}
    assert all(mistake.name in planted for mistake in MISTAKES.values())


@pytest.mark.parametrize(
    ("name", "fault", "message"), FAULTS, ids=[f"{name}: {fault.name}" for name, fault, _ in FAULTS]
)
def test_property_sees_the_fault(name, fault, message):
    try:
        PROPERTIES[name](fault)
    except SkipTest as reason:
        pytest.skip(str(reason))
    except Exception as error:  # a wrong Function fails in any way it likes
        said = str(error)
    else:
        pytest.fail(f"{name} did not see: {fault.name}")
    assert re.search(message, said, re.DOTALL)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_only_the_derivative_is_wrong(mistake):
    PROPERTIES["value"](MISTAKES[mistake])


@pytest.mark.parametrize(
    "mistake", ["BiasNotSummed", "BiasDimensionKept", "SquaredGradOutput", "DetachedBackward", "TensorKeptOnContext"]
)
def test_gradcheck_alone_is_not_enough(mistake):
    """What the lab sheet tells of gradcheck: it returns True for these."""
    assert torch.autograd.gradcheck(MISTAKES[mistake].operation, MISTAKES[mistake].inputs())
