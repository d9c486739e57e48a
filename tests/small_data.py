"""Data sets of a few random pictures in the published forms, known by their checksums, and a network with them."""

import bz2
import gzip
import hashlib
import io
import os
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch

from amal import data
from amal.data import checksums, images, usps_files
from amal.data import idx as idx_files

COUNTS = {"train": 30, "t10k": 10}
PLAIN = [f"{part}-{what}" for part in COUNTS for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
MNIST_LIKE = {"MNIST": data.mnist, "FashionMNIST": data.fashion_mnist}
BOTH_USPS = [("USPS_train.txt", "USPS_test.txt"), ("usps.bz2", "usps.t.bz2")]


def idx(array, magic=None):
    head = [magic or 0x800 + array.ndim, *array.shape]
    return np.array(head, ">u4").tobytes() + array.astype(np.uint8).tobytes()


class Network:
    """Stands in for urllib.request.urlopen: knows some files by name, and may break in the middle of one."""

    def __init__(self):
        self.files, self.asked, self.breaks, self.seen = {}, [], None, lambda: None

    def __call__(self, request, **_):
        name = request.full_url.rsplit("/", 1)[-1]
        self.asked.append(name)
        if name not in self.files:
            raise urllib.error.URLError("Name or service not known")
        return Response(self, request.full_url, self.files[name])


class Response(io.BytesIO):
    def __init__(self, network, url, content):
        super().__init__(content)
        self.network, self.url, self.length = network, url, len(content)

    def read(self, size=-1):
        self.network.seen()
        if self.network.breaks and self.tell():
            raise self.network.breaks
        return super().read(len(self.getvalue()) // 2 + 1)


@pytest.fixture
def network(monkeypatch):
    """No test may reach the network; this one is down until a test puts files on it."""
    network = Network()
    monkeypatch.setattr(urllib.request, "urlopen", network)
    return network


@pytest.fixture
def small(monkeypatch):
    """MNIST and Fashion-MNIST of 30 + 10 random pictures, published with their own checksums: name -> content."""
    from torchvision import datasets

    random = np.random.default_rng(0)
    content = {}
    for part, count in COUNTS.items():
        content[f"{part}-images-idx3-ubyte"] = idx(random.integers(0, 256, (count, 28, 28)))
        content[f"{part}-labels-idx1-ubyte"] = idx(random.permutation(np.arange(count) % 10))
    sums = {name: hashlib.sha256(value).hexdigest() for name, value in content.items()}
    content |= {f"{name}.gz": gzip.compress(value, mtime=0) for name, value in content.items()}
    resources = [(f"{name}.gz", hashlib.md5(content[f"{name}.gz"]).hexdigest()) for name in PLAIN]
    for kind in MNIST_LIKE:
        monkeypatch.setattr(getattr(datasets, kind), "resources", resources)
    monkeypatch.setattr(idx_files, "COUNTS", COUNTS)
    monkeypatch.setattr(images, "VALIDATION", 5)
    sums = {f"{kind}/{name}": value for kind in MNIST_LIKE for name, value in sums.items()}
    monkeypatch.setattr(checksums, "SHA256", checksums.SHA256 | sums)
    return content


def usps_lines(form, labels, thousandths):
    """The lines of a USPS file, as lists of words: the course's text or libsvm's."""
    if form == "text":
        return [[f"{label}", *(f"{v / 1000:g}" for v in row)] for label, row in zip(labels, thousandths, strict=True)]
    return [
        [f"{label + 1}", *(f"{i}:{(v - 1000) / 1000:g}" for i, v in enumerate(row, 1))]
        for label, row in zip(labels, thousandths, strict=True)
    ]


def usps_file(form, lines):
    body = "".join(" ".join(line) + "\n" for line in lines)
    return f"10 256\n{body}-1\n".encode() if form == "text" else bz2.compress(body.encode())


@pytest.fixture
def small_usps(monkeypatch):
    """USPS of 30 + 10 random pictures in both forms, published with their own checksums: name -> content."""
    from torchvision import datasets

    random = np.random.default_rng(0)
    content, sums = {}, {}
    for part, count in enumerate((30, 10)):
        labels, values = random.permutation(np.arange(count) % 10), random.integers(0, 2001, (count, 256))
        for form, names in zip(("text", "bz2"), BOTH_USPS, strict=True):
            content[names[part]] = usps_file(form, usps_lines(form, labels, values))
        table = np.column_stack([labels, values / 2000]).astype("<f4")
        sums[f"USPS/{'test' if part else 'train'}"] = hashlib.sha256(table.tobytes()).hexdigest()
    published = {
        part: [f"https://nowhere/{name}", name, hashlib.md5(content[name]).hexdigest()]
        for part, name in zip(("train", "test"), BOTH_USPS[1], strict=True)
    }
    monkeypatch.setattr(datasets.USPS, "split_list", published)
    monkeypatch.setattr(checksums, "SHA256", checksums.SHA256 | sums)
    monkeypatch.setattr(usps_files, "CLASSES", {"train": (3,) * 10, "test": (1,) * 10})
    return content


def put(folder, content, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(content[name])
    return folder


def parts(splits):
    return splits.train, splits.validation, splits.test


def same(first, second):
    pairs = zip(parts(first), parts(second), strict=True)
    return all(torch.equal(a.input, b.input) and torch.equal(a.target, b.target) for a, b in pairs)


def files_below(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def linked(root, real_data, pattern):
    """A folder of ours with links to some of the real files: nothing may be written next to the files themselves."""
    for path in real_data.glob(pattern):
        link = root / path.relative_to(real_data)
        link.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(path, link)
    return root
