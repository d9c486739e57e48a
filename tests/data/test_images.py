import bz2
import errno
import gzip
import shutil
import socket
from http.client import HTTPException
from pathlib import Path

import numpy as np
import pytest
import torch
from small_data import (
    BOTH_USPS,
    MNIST_LIKE,
    PLAIN,
    files_below,
    idx,
    linked,
    parts,
    put,
    same,
    usps_file,
    usps_lines,
)

from amal import data
from amal.data import checksums, downloads, images, usps_files
from amal.errors import UserError

pytestmark = pytest.mark.usefixtures("network")

both_mnist = pytest.mark.parametrize("kind", MNIST_LIKE)
both_forms = pytest.mark.parametrize("form", ["", ".gz"], ids=["plain", "gz"])
both_usps = pytest.mark.parametrize("names", BOTH_USPS, ids=["text", "bz2"])


def in_one_line(caught, *words):
    message = str(caught.value)
    assert "\n" not in message
    assert "--dataset digits" in message
    for word in words:
        assert str(word) in message


# What they give


def test_digits():
    digits = data.digits()
    assert [len(part) for part in parts(digits)] == [1078, 359, 360]
    assert (digits.name, digits.shape, digits.classes) == ("digits", (1, 8, 8), tuple("0123456789"))
    for part in parts(digits):
        assert (part.input.dtype, part.target.dtype) == (torch.float32, torch.int64)
        assert part.input.shape == (len(part), 1, 8, 8)
        assert part.target.shape == (len(part),)
        assert (float(part.input.min()), float(part.input.max())) == (0, 1)
    assert torch.cat([part.target for part in parts(digits)]).bincount().tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    assert same(digits, data.digits(0))
    assert not same(digits, data.digits(1))


def test_images_move_and_keep_their_class_numbers():
    moved = data.digits().to("cpu", torch.float64)
    assert isinstance(moved, data.Images)
    assert (moved.name, moved.shape) == ("digits", (1, 8, 8))
    assert all((part.input.dtype, part.target.dtype) == (torch.float64, torch.int64) for part in parts(moved))


def test_a_loader_takes_an_image_data_set():
    validation = data.digits().validation
    dataset = data.ImageDataset(validation)
    assert len(dataset) == 359
    pixels, label = dataset[7]
    assert (pixels.shape, pixels.dtype, type(label)) == ((64,), torch.float32, int)
    assert torch.equal(pixels, validation.input[7].flatten())
    batches = list(torch.utils.data.DataLoader(dataset, batch_size=100))
    assert [len(labels) for _, labels in batches] == [100, 100, 100, 59]
    assert torch.equal(torch.cat([pixels for pixels, _ in batches]), validation.input.flatten(1))
    assert torch.equal(torch.cat([labels for _, labels in batches]), validation.target)
    assert len(list(dataset)) == 359  # it ends


@both_mnist
@both_forms
def test_idx_files_are_decoded(tmp_path, small, kind, form):
    put(tmp_path / kind / "raw", small, [name + form for name in PLAIN])
    before = files_below(tmp_path)
    splits = MNIST_LIKE[kind](tmp_path)
    assert [len(part) for part in parts(splits)] == [25, 5, 10]
    assert splits.shape == (1, 28, 28)
    assert all((part.input.dtype, part.target.dtype) == (torch.float32, torch.int64) for part in parts(splits))
    pixels = np.frombuffer(small["t10k-images-idx3-ubyte"], np.uint8, offset=16).reshape(10, 1, 28, 28)
    assert torch.equal(splits.test.input, torch.tensor(pixels.astype(np.float32)) / 255)
    assert splits.test.target.tolist() == list(small["t10k-labels-idx1-ubyte"][8:])
    assert files_below(tmp_path) == before  # nothing is written where all is there, so the folder may be read-only


def test_the_published_training_set_is_dealt_out_by_the_seed(tmp_path, small):
    put(tmp_path / "MNIST" / "raw", small, PLAIN)
    first, again, other = (data.mnist(tmp_path, seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert not torch.equal(first.validation.input, other.validation.input)
    assert torch.equal(first.test.input, other.test.input)
    published = np.frombuffer(small["train-images-idx3-ubyte"], np.uint8, offset=16).reshape(30, 784)
    dealt = torch.cat([first.train.input, first.validation.input]).flatten(1).mul(255).round().byte().numpy()
    assert {row.tobytes() for row in dealt} == {row.tobytes() for row in published}
    label_of = dict(zip((row.tobytes() for row in published), small["train-labels-idx1-ubyte"][8:], strict=True))
    labels = torch.cat([first.train.target, first.validation.target]).tolist()
    assert [label_of[row.tobytes()] for row in dealt] == labels


def test_classes_and_names_are_torchvisions():
    from torchvision import datasets

    assert list(images.CLOTHES) == datasets.FashionMNIST.classes
    for kind in MNIST_LIKE:
        names = [f"{kind}/{name.removesuffix('.gz')}" for name, _ in getattr(datasets, kind).resources]
        assert [name for name in checksums.SHA256 if name.startswith(f"{kind}/")] == names
    assert {name: md5 for _, name, md5 in datasets.USPS.split_list.values()} == checksums.LIBSVM_MD5


@both_usps
def test_usps_files_are_parsed(tmp_path, small_usps, names):
    put(tmp_path / "USPS", small_usps, names)
    splits = data.usps(tmp_path)
    assert [len(part) for part in parts(splits)] == [27, 3, 10]
    assert (splits.name, splits.shape, splits.classes) == ("USPS", (1, 16, 16), tuple("0123456789"))
    assert all((part.input.dtype, part.target.dtype) == (torch.float32, torch.int64) for part in parts(splits))
    lines = [line.split() for line in small_usps["USPS_test.txt"].decode().splitlines()[1:-1]]
    assert splits.test.target.tolist() == [int(line[0]) for line in lines]
    expected = torch.tensor([[float(word) / 2 for word in line[1:]] for line in lines])
    assert torch.equal(splits.test.input.flatten(1), expected)
    assert not torch.equal(splits.validation.input, data.usps(tmp_path, 1).validation.input)


# What is wrong with an IDX file


def test_every_idx_file_is_looked_at(tmp_path, small):
    for name in PLAIN:
        folder = put(tmp_path / "MNIST" / "raw", small, PLAIN)
        (folder / name).write_bytes(small[name][:-1])
        with pytest.raises(UserError) as caught:
            data.mnist(tmp_path)
        in_one_line(caught, folder / name, "is damaged", "delete it to have it downloaded again")


def huge(array):
    content = bytearray(idx(array))
    content[4:8] = b"\xff" * 4
    return bytes(content)


IMAGES, LABELS = np.zeros((30, 28, 28)), np.zeros(30)
BAD_IDX = {
    "empty": ("train-images-idx3-ubyte", b"", "0 bytes instead of 23536"),
    "truncated": ("train-images-idx3-ubyte", idx(IMAGES)[:9999], "9999 bytes instead of 23536"),
    "without its whole header": ("train-labels-idx1-ubyte", idx(LABELS)[:3], "3 bytes instead of 38"),
    "too long": ("train-images-idx3-ubyte", idx(IMAGES) + b"\0", "23537 bytes instead of 23536"),
    "of another magic number": ("train-images-idx3-ubyte", idx(IMAGES, 0x801), "begins with 0x00000801"),
    "of other dimensions": ("train-images-idx3-ubyte", idx(np.zeros((60, 14, 28))), "(60, 14, 28) instead of"),
    "that promises too much": ("train-images-idx3-ubyte", huge(IMAGES), "(4294967295, 28, 28) instead of"),
    "of text": ("train-labels-idx1-ubyte", b"<html>404 not found, sorry</html>     ", "begins with 0x3c68746d"),
}


@both_mnist
@pytest.mark.parametrize("fault", BAD_IDX)
def test_a_bad_plain_idx_file_is_refused(tmp_path, small, kind, fault):
    name, content, words = BAD_IDX[fault]
    folder = put(tmp_path / kind / "raw", small, PLAIN)
    (folder / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        MNIST_LIKE[kind](tmp_path)
    in_one_line(caught, folder / name, "is damaged", words, "delete it to have it downloaded again")


@both_mnist
@both_forms
@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("fault", ["one byte changed", "a zeroed tail"])
def test_other_values_in_a_file_of_the_right_form_are_seen(tmp_path, small, kind, form, name, fault):
    """Packed anew, too: what counts is what is used."""
    folder = put(tmp_path / kind / "raw", small, [name + form for name in PLAIN])
    content = small[name]
    content = content[:-4] + (bytes(4) if fault == "a zeroed tail" else content[-4:-1] + bytes([content[-1] ^ 1]))
    (folder / f"{name}{form}").write_bytes(gzip.compress(content) if form else content)
    with pytest.raises(UserError) as caught:
        MNIST_LIKE[kind](tmp_path)
    in_one_line(caught, folder / f"{name}{form}", "its checksum differs")


@both_mnist
def test_the_same_content_packed_anew_is_taken(tmp_path, small, kind):
    folder = put(tmp_path / kind / "raw", small, PLAIN)
    first = MNIST_LIKE[kind](tmp_path)
    for name in PLAIN:
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(gzip.compress(small[name], 1))
    assert same(first, MNIST_LIKE[kind](tmp_path))


@both_mnist
@pytest.mark.parametrize("fault", ["half downloaded", "one byte changed", "empty", "a page of text", "not compressed"])
def test_a_bad_gzipped_idx_file_is_refused(tmp_path, small, kind, fault):
    folder = put(tmp_path / kind / "raw", small, [f"{name}.gz" for name in PLAIN])
    path = folder / "train-images-idx3-ubyte.gz"
    content = small[path.name]
    changed = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    damage, words = {
        "half downloaded": (content[: len(content) // 2], "gzip: Compressed file ended before"),
        "one byte changed": (changed, ""),
        "empty": (b"", "0 bytes instead of"),
        "a page of text": (b"<html>", "gzip: Not a gzipped file"),
        "not compressed": (small["train-images-idx3-ubyte"], "gzip: Not a gzipped file"),
    }[fault]
    path.write_bytes(damage)
    with pytest.raises(UserError) as caught:
        MNIST_LIKE[kind](tmp_path)
    in_one_line(caught, path, "is damaged", words, "delete it to have it downloaded again")


# What cannot be read, whatever it is


def readers(small, small_usps):
    return {
        "MNIST/raw/train-images-idx3-ubyte": (data.mnist, small, PLAIN),
        "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": (data.fashion_mnist, small, [f"{name}.gz" for name in PLAIN]),
        "USPS/USPS_train.txt": (data.usps, small_usps, BOTH_USPS[0]),
        "USPS/usps.t.bz2": (data.usps, small_usps, BOTH_USPS[1]),
    }


@pytest.mark.parametrize("fault", ["a folder in its place", "no permission", "a file in place of its folder"])
@pytest.mark.parametrize("name", list(readers(None, None)))
def test_what_cannot_be_read_is_named(tmp_path, small, small_usps, monkeypatch, name, fault):
    load, content, names = readers(small, small_usps)[name]
    path = tmp_path / name
    put(path.parent, content, names)
    if fault == "no permission":  # root may read everything, so chmod would not do
        read = Path.open

        def refuse(self, *args, **kwargs):
            if self == path:
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return read(self, *args, **kwargs)

        monkeypatch.setattr(Path, "open", refuse)
        words = (path, "Permission denied")
    elif fault == "a folder in its place":
        path.unlink()
        path.mkdir()
        words = (path, "Is a directory")
    else:
        shutil.rmtree(path.parent)
        path.parent.write_text("a file")
        words = (path.parent, "Not a directory")
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    in_one_line(caught, "cannot be read", *words)


# What is missing


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (data.mnist, ["MNIST/raw", "train-images-idx3-ubyte, train-labels", "plain or gzipped"]),
        (data.fashion_mnist, ["FashionMNIST/raw", "t10k-labels-idx1-ubyte", "plain or gzipped"]),
        (data.usps, ["/USPS", "USPS_train.txt, USPS_test.txt", "usps.bz2 and usps.t.bz2"]),
    ],
    ids=["mnist", "fashion_mnist", "usps"],
)
def test_without_data_and_network_it_says_what_goes_where(tmp_path, network, load, words):
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    in_one_line(caught, tmp_path, "not known", "put them there", "--data-root", *words)
    assert network.asked  # it did try
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_missing_is_asked_for(tmp_path, small):
    put(tmp_path / "MNIST" / "raw", small, [PLAIN[0], PLAIN[1] + ".gz", PLAIN[2]])
    with pytest.raises(UserError) as caught:
        data.mnist(tmp_path)
    in_one_line(caught, f"gzipped: {PLAIN[3]} not there")


def test_where_nothing_can_be_written_it_says_so(tmp_path, small, network, monkeypatch):
    network.files = small

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError) as caught:
        data.mnist(tmp_path)
    in_one_line(caught, "the download failed", "Read-only file system")


@both_mnist
def test_mnist_is_downloaded_once(tmp_path, small, network, kind):
    network.files = small
    first = MNIST_LIKE[kind](tmp_path)
    folder = tmp_path / kind / "raw"
    assert files_below(folder) == sorted(small)
    assert [path.name for path in folder.iterdir() if path.is_dir()] == []
    network.files = {}
    assert same(first, MNIST_LIKE[kind](tmp_path))


def test_usps_is_downloaded_once(tmp_path, small_usps, network):
    network.files = small_usps
    first = data.usps(tmp_path)
    network.files = {}
    assert same(first, data.usps(tmp_path))
    assert [name for name in files_below(tmp_path / "USPS") if "cache" not in name] == sorted(BOTH_USPS[1])


def test_a_download_leaves_alone_what_is_there(tmp_path, small, network):
    folder = put(tmp_path / "MNIST" / "raw", small, PLAIN[1:])
    before = {name: (folder / name).stat().st_ino for name in PLAIN[1:]}
    network.files = small
    data.mnist(tmp_path)
    assert {name: (folder / name).stat().st_ino for name in PLAIN[1:]} == before


BREAKS = {
    "reset": ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    "timeout": TimeoutError("timed out"),
    "not http": HTTPException("closed"),
    "interrupted": KeyboardInterrupt(),
}


@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("load", [data.mnist, data.usps], ids=["mnist", "usps"])
def test_a_download_that_breaks_leaves_nothing(tmp_path, small, small_usps, network, load, fault):
    seen = []
    network.files, network.breaks = small | small_usps, BREAKS[fault]
    network.seen = lambda: seen.extend(files_below(tmp_path))  # what would be left if the machine stopped here
    with pytest.raises(KeyboardInterrupt if fault == "interrupted" else UserError) as caught:
        load(tmp_path)
    assert files_below(tmp_path) == []
    assert seen
    assert all("/.download-" in name for name in seen)
    if fault != "interrupted":
        in_one_line(caught, "the download failed", BREAKS[fault].args[-1])


@pytest.mark.parametrize("load", [data.mnist, data.usps], ids=["mnist", "usps"])
def test_a_download_that_is_not_the_original_is_refused(tmp_path, small, small_usps, network, load):
    network.files = {name: content[:-9] for name, content in (small | small_usps).items()}
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    in_one_line(caught, "the download failed", "File not found or corrupted")
    assert files_below(tmp_path) == []


def test_a_silent_network_is_not_waited_for_forever(tmp_path, small_usps, network):
    timeouts = []
    network.files, network.seen = small_usps, lambda: timeouts.append(socket.getdefaulttimeout())
    data.usps(tmp_path)
    assert set(timeouts) == {downloads.PATIENCE}
    assert socket.getdefaulttimeout() is None


def test_what_an_interrupted_download_left_is_not_taken(tmp_path, small):
    put(tmp_path / "MNIST" / "raw" / ".download-x" / "MNIST" / "raw", small, small)
    with pytest.raises(UserError) as caught:
        data.mnist(tmp_path)
    in_one_line(caught, "not there in")


# What is wrong with a USPS file


def change(line, word, value):
    def apply(lines):
        lines[line][word] = value

    return apply


BAD_USPS = {
    "a picture too few": ({}, lambda lines: lines.pop(), "29 pictures instead of 30"),
    "a picture too many": ({}, lambda lines: lines.append(lines[0]), "31 pictures instead of 30"),
    "no picture": ({}, lambda lines: lines.clear(), "0 pictures instead of 30"),
    "a value too few": ({}, lambda lines: lines[4].pop(), "picture 5 of 30 is not a label and 256 values"),
    "a value too many": (
        {},
        lambda lines: lines[4].append(lines[4][-1]),
        "picture 5 of 30 is not a label and 256 values",
    ),
    "an empty line": ({}, lambda lines: lines[4].clear(), "picture 5 of 30 is not a label and 256 values"),
    "a value that is a word": ({"text": "x", "bz2": "9:x"}, 9, "could not convert string 'x'"),
    "a value that is not a number": ({"text": "nan", "bz2": "9:nan"}, 9, "picture 5 of 30 has a value out of range"),
    "a value too large": ({"text": "2.001", "bz2": "9:1.001"}, 9, "picture 5 of 30 has a value out of range"),
    "a value too small": ({"text": "-0.001", "bz2": "9:-1.001"}, 9, "picture 5 of 30 has a value out of range"),
    "a label too large": ({"text": "10", "bz2": "11"}, 0, "picture 5 of 30 has an unknown label"),
    "a label too small": ({"text": "-1", "bz2": "0"}, 0, "picture 5 of 30 has an unknown label"),
    "a label between two": ({"text": "1.5", "bz2": "1.5"}, 0, "picture 5 of 30 has an unknown label"),
}


def refused(tmp_path, path, *words):
    for _ in range(2):  # nothing has been kept of the first time
        with pytest.raises(UserError) as caught:
            data.usps(tmp_path)
        in_one_line(caught, path, "is damaged", *words, "delete it to have it downloaded again")
    assert not path.with_name(f"{path.name}.cache").exists()


@both_usps
@pytest.mark.parametrize("fault", BAD_USPS)
def test_a_bad_picture_of_usps_is_refused(tmp_path, small_usps, names, fault):
    form = "text" if names == BOTH_USPS[0] else "bz2"
    values, damage, words = BAD_USPS[fault]
    lines = usps_lines(form, np.arange(30) % 10, np.zeros((30, 256)))
    (change(4, damage, values[form]) if values else damage)(lines)
    path = put(tmp_path / "USPS", small_usps, names) / names[0]
    path.write_bytes(usps_file(form, lines))
    refused(tmp_path, path, words)


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("USPS_train.txt", lambda text: b"", "first line is not 10 256"),
        ("USPS_train.txt", lambda text: text.replace(b"10 256", b"10 128", 1), "first line is not 10 256"),
        ("USPS_train.txt", lambda text: text[: len(text) // 2], "last line is not -1"),
        ("USPS_train.txt", lambda text: text[:-3], "last line is not -1"),
        ("USPS_test.txt", lambda text: text[:-3], "last line is not -1"),
        ("USPS_test.txt", lambda text: text.replace(b" ", b"\xff ", 40), "first line is not 10 256"),
        ("usps.bz2", lambda content: b"", "bzip2"),
        ("usps.bz2", lambda content: content[: len(content) // 2], "bzip2"),
        ("usps.bz2", lambda content: content[:999] + b"x" + content[1000:], "bzip2"),
        ("usps.t.bz2", lambda content: b"<html>", "bzip2"),
        ("usps.t.bz2", lambda content: bz2.compress(bz2.decompress(content).replace(b" 7:", b" 8:")), "not numbered"),
    ],
    ids=[
        "empty",
        "other header",
        "half",
        "no end",
        "no end of the test set",
        "other bytes",
        "empty bz2",
        "half bz2",
        "changed bz2",
        "text for bz2",
        "indices",
    ],
)
def test_a_bad_usps_file_is_refused(tmp_path, small_usps, name, damage, words):
    path = put(tmp_path / "USPS", small_usps, BOTH_USPS["bz2" in name]) / name
    path.write_bytes(damage(small_usps[name]))
    refused(tmp_path, path, words)


# What is kept of a USPS file


@pytest.fixture
def parsed(monkeypatch):
    """The names of the USPS files that were parsed."""
    names, parse = [], usps_files._parse

    def note(path, *rest):
        names.append(path.name)
        return parse(path, *rest)

    monkeypatch.setattr(usps_files, "_parse", note)
    return names


@both_usps
def test_usps_is_parsed_once(tmp_path, small_usps, parsed, names):
    put(tmp_path / "USPS", small_usps, names)
    first, second = data.usps(tmp_path), data.usps(tmp_path)
    assert same(first, second)
    assert parsed == list(names)
    assert files_below(tmp_path / "USPS") == sorted([*names, *(f"{name}.cache" for name in names)])


def test_a_changed_source_is_parsed_again(tmp_path, small_usps, parsed):
    path = put(tmp_path / "USPS", small_usps, BOTH_USPS[0]) / "USPS_test.txt"
    data.usps(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(UserError, match="last line is not -1"):
        data.usps(tmp_path)
    path.write_bytes(whole.replace(b" ", b"  "))
    data.usps(tmp_path)
    assert parsed == ["USPS_train.txt", *["USPS_test.txt"] * 3]


@pytest.mark.parametrize("fault", ["empty", "cut short", "too long", "one byte changed", "another's", "a folder"])
def test_a_damaged_cache_is_not_used(tmp_path, small_usps, parsed, fault):
    folder = put(tmp_path / "USPS", small_usps, BOTH_USPS[0])
    first = data.usps(tmp_path)
    cache = folder / "USPS_train.txt.cache"
    kept = cache.read_bytes()
    cache.unlink()
    if fault == "a folder":
        cache.mkdir()
    else:
        cache.write_bytes(
            {
                "empty": b"",
                "cut short": kept[:-4],
                "too long": kept + b"\0\0\0\0",
                "one byte changed": kept[:5000] + bytes([kept[5000] ^ 1]) + kept[5001:],
                "another's": (folder / "USPS_test.txt.cache").read_bytes(),
            }[fault]
        )
    assert same(first, data.usps(tmp_path))
    assert parsed == ["USPS_train.txt", "USPS_test.txt", "USPS_train.txt"]
    assert fault == "a folder" or cache.read_bytes() == kept  # and it is mended
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("fault", ["marked read-only", "mounted read-only", "full"])
def test_no_cache_where_none_can_be_written(tmp_path, small_usps, monkeypatch, fault):
    folder = put(tmp_path / "USPS", small_usps, BOTH_USPS[0])
    write = Path.write_bytes

    def mounted_read_only(self, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    def full(self, content):
        write(self, content[:1000])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    if fault == "marked read-only":
        folder.chmod(0o555)
    elif fault == "mounted read-only":
        monkeypatch.setattr(Path, "write_bytes", mounted_read_only)
        monkeypatch.setattr(Path, "unlink", mounted_read_only)
    else:
        monkeypatch.setattr(Path, "write_bytes", full)
    try:
        assert same(data.usps(tmp_path), data.usps(tmp_path))
        assert files_below(folder) == sorted(BOTH_USPS[0])
    finally:
        folder.chmod(0o755)


# The real files


def test_real_mnist(tmp_path, real_data):
    plain = data.mnist(linked(tmp_path / "plain", real_data, "MNIST/raw/*-ubyte"))
    assert [len(part) for part in parts(plain)] == [55_000, 5000, 10_000]
    published = torch.cat([plain.train.input, plain.validation.input])
    assert float(published.double().mean()) == pytest.approx(0.1307, abs=5e-5)
    assert float(published.double().std()) == pytest.approx(0.3081, abs=5e-5)
    assert plain.test.target[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert same(plain, data.mnist(linked(tmp_path / "gz", real_data, "MNIST/raw/*.gz")))


@pytest.mark.slow
def test_real_usps(tmp_path, real_data):
    text = data.usps(linked(tmp_path / "text", real_data, "USPS/*.txt"))
    assert [len(part) for part in parts(text)] == [6562, 729, 2007]
    assert torch.cat([text.train.target, text.validation.target]).bincount()[:2].tolist() == [1194, 1005]
    assert all((float(part.input.min()), float(part.input.max())) == (0, 1) for part in parts(text))
    assert same(text, data.usps(linked(tmp_path / "bz2", real_data, "USPS/*.bz2")))
    assert same(text, data.usps(tmp_path / "text"))  # as it was kept
