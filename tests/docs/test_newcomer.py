"""The newcomer's path, end to end; and that it is broken off where a promise is not kept."""

import subprocess

import newcomer
import pytest
from newcomer import Broken, Newcomer, keeps, same


@pytest.mark.slow
def test_the_whole_path(tmp_path):
    if subprocess.run(["git", "-C", newcomer.ROOT, "rev-parse"], capture_output=True, check=False).returncode:
        pytest.skip("there is no repository to clone")
    newcomer.walk(tmp_path)


def test_a_broken_promise_ends_the_walk():
    keeps("a line", 0, "all is well", 0, ["well"])
    with pytest.raises(Broken, match="exit status 1, promised 0"):
        keeps("a line", 1, "all is well", 0, ["well"])
    with pytest.raises(Broken, match="said nothing of 'not-summed'"):
        keeps("amal check lab.py", 1, "correct", 1, ["not-summed"])


def test_a_resumed_run_that_ends_otherwise_is_seen():
    whole = {"status": "completed", "metrics": {"accuracy_test": 0.975}}
    same(whole, whole)
    for other in ({"accuracy_test": 0.9750001}, {}):
        with pytest.raises(Broken, match="uninterrupted"):
            same(whole | {"metrics": other}, whole)
    with pytest.raises(Broken, match="resumed: interrupted"):
        same(whole | {"status": "interrupted"}, whole)


def test_what_is_typed_must_end_as_promised(tmp_path, capsys):
    student = Newcomer(tmp_path)
    student.clone.mkdir()
    assert student.types("git --version", ["git version"]).startswith("git")
    assert "$ git --version" in capsys.readouterr().out
    with pytest.raises(Broken, match="promised 0"):
        student.types("git no-such-command")


def test_the_wrong_file_is_wrong(tmp_path):
    scope = {}
    exec(newcomer.WRONG, scope)
    import torch

    x, w, b = (torch.ones(*shape, requires_grad=True) for shape in ((5, 2), (2, 3), (3,)))
    output = scope["Linear"].apply(x, w, b)
    assert output.grad_fn.__class__.__name__ == "LinearBackward"
    assert scope["Linear"].backward(output.grad_fn, torch.ones(5, 3))[2].shape == (5, 3)
