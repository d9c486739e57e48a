"""No damage to a data set goes unsaid: seeded mutations, files that unpack to gigabytes, numbers of unknown origin."""

import bz2
import gzip
import hashlib
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from small_data import BOTH_USPS, MNIST_LIKE, PLAIN, linked, put, same, usps_file, usps_lines

from amal import data
from amal.data import checksums, files, usps_files
from amal.errors import UserError

pytestmark = pytest.mark.usefixtures("network")
MUTATIONS = 30
"""Of each form: 150 in all."""


# What unpacks to more than it may


def memory(function):
    """Call a function; return the UserError that it raised, and the most memory that Python held meanwhile, in MB."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            function()
        return str(caught.value), tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def bomb():
    """A bzip2 file of a few kilobytes that unpacks to 2 GB."""
    return bz2.compress(bytes(45_000_000)) * 45


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_early(tmp_path, bomb):
    assert len(bomb) < 10_000
    put(tmp_path / "USPS", dict.fromkeys(BOTH_USPS[1], bomb), BOTH_USPS[1])
    message, megabytes = memory(lambda: data.usps(tmp_path))
    assert re.search(r"usps\.bz2 is damaged \(it unpacks to more than 29872128 bytes\)", message)
    assert megabytes < 100


def test_a_gzipped_file_that_unpacks_to_gigabytes_is_refused_early(tmp_path, small):
    folder = put(tmp_path / "MNIST" / "raw", small, [f"{name}.gz" for name in PLAIN])
    (folder / f"{PLAIN[0]}.gz").write_bytes(gzip.compress(bytes(20_000_000)))  # 20 kB
    message, megabytes = memory(lambda: data.mnist(tmp_path))
    assert "more than" in message
    assert megabytes < 2
    (folder / f"{PLAIN[0]}.gz").write_bytes(gzip.compress(bytes(5_000_000)))
    message, megabytes = memory(lambda: data.mnist(tmp_path))
    assert "it unpacks to more than 23536 bytes" in message
    assert megabytes < 2


LONG = {
    "lines": (b"10 256\n" + b"\n" * 25_000_000 + b"-1\n", r"25000002 lines, for 7291 pictures"),
    "one line": (b"10 256\n" + b"1 " * 12_000_000 + b"\n-1\n", r"a line of 24000000 bytes"),
    "text": (b"10 256\n" + b"0" * 40_000_000 + b"\n-1\n", r"more than 29876224 bytes"),
}


@pytest.mark.parametrize("fault", LONG)
def test_a_text_of_absurd_length_is_refused_before_it_is_taken_apart(tmp_path, fault):
    content, words = LONG[fault]
    put(tmp_path / "USPS", {"USPS_train.txt": content, "USPS_test.txt": b""}, BOTH_USPS[0])
    message, megabytes = memory(lambda: data.usps(tmp_path))
    assert re.search(rf"USPS_train\.txt is damaged \({words}\)", message)
    assert megabytes < 130


def test_a_housing_file_of_absurd_length_is_not_read_whole(tmp_path):
    put(tmp_path / "housing", {"housing.data": b"1.0 " * 10_000_000}, ["housing.data"])
    message, megabytes = memory(lambda: data.boston_housing(tmp_path))
    assert "housing.data is damaged (more than 98164 bytes)" in message
    assert megabytes < 2


# What is of unknown origin


def other_usps(change=lambda labels, values: None):
    """A table of USPS that nobody has published."""
    labels, values = np.arange(30) % 10, np.full((30, 256), 500)
    change(labels, values)
    return usps_lines("bz2", labels, values)


def test_numbers_of_unknown_origin_are_used_with_one_line(tmp_path, small_usps, capsys):
    folder = put(tmp_path / "USPS", small_usps, BOTH_USPS[1])
    (folder / "usps.bz2").write_bytes(usps_file("bz2", other_usps()))
    for _ in range(2):
        assert data.usps(tmp_path).train.input.unique().tolist() == [0.25]
    assert re.fullmatch(r"\S+/usps\.bz2 could not be verified: its numbers are .*\n", capsys.readouterr().err)


def test_libsvms_own_file_is_known_by_its_checksum(tmp_path, small_usps, capsys, monkeypatch):
    folder = put(tmp_path / "USPS", small_usps, BOTH_USPS[1])
    content = usps_file("bz2", other_usps())
    (folder / "usps.bz2").write_bytes(content)
    monkeypatch.setitem(checksums.LIBSVM_MD5, "usps.bz2", hashlib.md5(content).hexdigest())
    data.usps(tmp_path)
    assert capsys.readouterr().err == ""


def test_numbers_of_unknown_origin_with_a_zeroed_tail_of_labels_are_refused(tmp_path, small_usps):
    def zero(labels, _):
        labels[-4:] = 0

    folder = put(tmp_path / "USPS", small_usps, BOTH_USPS[1])
    (folder / "usps.bz2").write_bytes(usps_file("bz2", other_usps(zero)))
    with pytest.raises(UserError, match=r"its digits are there \(7, 3, 3, 3, 3, 3, 2, 2, 2, 2\) times"):
        data.usps(tmp_path)
    assert not (folder / "usps.bz2.cache").exists()


# Mutations


def mutate(content, random):
    """Return the content with one fault of those that disks, networks and editors make."""
    place, length = int(random.integers(len(content))), int(random.integers(1, 40))
    head, part, tail = content[:place], content[place : place + length], content[place + length :]
    noise = random.bytes(length)
    digits = [match.start() for match in re.finditer(rb"\d", content[:20_000])]
    digit = digits[random.integers(len(digits))] if digits else place
    lines = content.splitlines(keepends=True)
    first, second = random.integers(len(lines), size=2)
    swapped = [*lines]
    swapped[first], swapped[second] = lines[second], lines[first]
    return [
        lambda: head + bytes([content[place] ^ 1 << int(random.integers(8))]) + content[place + 1 :],
        lambda: head,
        lambda: content + noise,
        lambda: head + bytes(len(part)) + tail,
        lambda: head + tail,
        lambda: head + part + part + tail,
        lambda: head + noise + tail,
        lambda: head + bytes(len(content) - place),
        lambda: content[:digit] + b"%d" % random.integers(10) + content[digit + 1 :],
        lambda: b"".join(swapped),
        lambda: b"".join([*lines[:first], *lines[first + 1 :]]),
        lambda: content.replace(b"\n", b"\r\n"),
        lambda: b"<html>503 Service Unavailable</html>",
    ][random.integers(13)]()


def damage(path, content, random):
    """Write a file with a fault: in it as it lies there, or in what it packs; return whether it is another one."""
    pack, unpack = {".gz": (gzip.compress, gzip.decompress), ".bz2": (bz2.compress, bz2.decompress)}.get(
        path.suffix, (bytes, bytes)
    )
    mutant = pack(mutate(unpack(content), random)) if random.random() < 0.5 else mutate(content, random)
    path.write_bytes(mutant)
    return mutant != content


def attempt(load, root, capsys):
    """Load a data set from a damaged file: the data, the refusal, and what was said of a file that is used."""
    files.say_unverified.cache_clear()
    try:
        loaded, refusal = load(root), ""
    except UserError as error:
        loaded, refusal = None, str(error)
    assert "\n" not in refusal
    return loaded, refusal, capsys.readouterr().err


def survey(load, path, root, content, count, capsys, published=True):
    """Damage a file in many ways: each must be refused in words, or be the same data; return how many were refused."""
    random = np.random.default_rng(0)
    whole = load(root)
    refused = 0
    for _ in range(count):
        if not damage(path, content, random):
            continue
        loaded, refusal, said = attempt(load, root, capsys)
        if loaded is None:
            assert str(path) in refusal
            refused += 1
        elif not same(loaded, whole):
            assert not published
            assert re.fullmatch(r"\S+ could not be verified: .*\n", said)
    return refused


FORMS = {
    "MNIST": (data.mnist, "MNIST/raw", "train-images-idx3-ubyte"),
    "MNIST, labels": (data.mnist, "MNIST/raw", "t10k-labels-idx1-ubyte"),
    "Fashion-MNIST": (data.fashion_mnist, "FashionMNIST/raw", "train-labels-idx1-ubyte"),
    "Fashion-MNIST, gzipped": (data.fashion_mnist, "FashionMNIST/raw", "train-images-idx3-ubyte.gz"),
    "USPS": (data.usps, "USPS", "USPS_train.txt"),
    "USPS, packed": (data.usps, "USPS", "usps.bz2"),
    "housing": (data.boston_housing, "housing", "housing.data"),
}


@pytest.fixture
def small_housing(monkeypatch):
    rows = np.random.default_rng(0).random((50, 14)).round(4)
    content = "".join(" " + "  ".join(f"{value:.4f}" for value in row) + "\n" for row in rows).encode()
    monkeypatch.setitem(checksums.SHA256, "housing/housing.data", hashlib.sha256(content).hexdigest())
    return {"housing.data": content}


@pytest.mark.parametrize("form", FORMS)
def test_no_mutation_goes_unsaid(tmp_path, small, small_usps, small_housing, capsys, form):
    load, folder, name = FORMS[form]
    published = {"USPS": small_usps, "housing": small_housing}.get(folder, small)
    names = next(
        names for names in (PLAIN, [f"{of}.gz" for of in PLAIN], *BOTH_USPS, ["housing.data"]) if name in names
    )
    path = put(tmp_path / folder, published, names) / name
    refused = survey(load, path, tmp_path, published[name], MUTATIONS, capsys, published=not name.endswith(".bz2"))
    assert refused > MUTATIONS // 2


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("load", "pattern", "name"),
    [
        (data.mnist, "MNIST/raw/*-ubyte", "train-labels-idx1-ubyte"),
        pytest.param(data.mnist, "MNIST/raw/*.gz", "t10k-images-idx3-ubyte.gz", marks=pytest.mark.slow),
        (data.usps, "USPS/*.txt", "USPS_test.txt"),
        pytest.param(data.usps, "USPS/*.bz2", "usps.t.bz2", marks=pytest.mark.slow),
        (data.boston_housing, "housing/*", "housing.data"),
    ],
    ids=["MNIST", "MNIST, gzipped", "USPS", "USPS, packed", "housing"],
)
def test_no_mutation_of_the_real_files_goes_unsaid(tmp_path, real_data, capsys, load, pattern, name):
    [path] = linked(tmp_path, real_data, pattern).rglob(name)
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    survey(load, path, tmp_path, content, 3, capsys, published=path.suffix != ".bz2")


def test_the_checksums_are_of_the_files_that_the_labs_use(real_data):
    for kind, name in (of.split("/") for of in checksums.SHA256 if of.startswith("MNIST/")):
        content = (real_data / kind / "raw" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == checksums.SHA256[f"{kind}/{name}"]
    assert usps_files.CLASSES["train"][:2] == (1194, 1005)
    assert sorted(of.split("/")[0] for of in checksums.SHA256) == sorted(
        [*MNIST_LIKE] * 4 + ["USPS", "USPS", "housing"]
    )


# A folder that is not there


@pytest.mark.parametrize(
    ("load", "instead"), [(data.mnist, "digits"), (data.usps, "digits"), (data.boston_housing, "diabetes")]
)
@pytest.mark.parametrize("there", ["absolute", "relative"])
def test_a_data_root_that_is_mistyped_is_not_made(tmp_path, monkeypatch, load, instead, there):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets" / "all").mkdir(parents=True)
    base = tmp_path if there == "absolute" else Path()
    with pytest.raises(UserError) as caught:
        load(base / "datsets" / "all")
    message = f"--data-root {base / 'datsets' / 'all'} is not there (did you mean {base / 'datasets' / 'all'}?): "
    assert str(caught.value).startswith(message)
    assert f"--dataset {instead} needs no file" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["datasets"]


def test_a_data_root_with_nothing_like_it_is_not_made(tmp_path):
    with pytest.raises(UserError, match=r"nowhere is not there: name the folder"):
        data.mnist(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_the_default_root_is_made_by_a_download_and_not_by_one_that_fails(tmp_path, small_usps, network, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AMAL_DATA", raising=False)
    with pytest.raises(UserError, match="the download failed"):
        data.usps(data.default_root())
    assert list(tmp_path.iterdir()) == []
    network.files = small_usps
    data.usps(data.default_root())
    assert (tmp_path / "data" / "USPS" / "usps.bz2").exists()
