"""No error of listing or reading is swallowed: each one injected is a refusal that names a path, never less data."""

import builtins
import errno
import io
import itertools
import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from data.pictures import classes, noise, save
from quick import few

from genjax import data
from genjax.data import catalogue, tfds
from genjax.errors import UsageError
from genjax.formats import picture

ERRORS = {name: getattr(errno, name) for name in ("EACCES", "ENOENT", "EIO", "ELOOP")}
REAL = {name: getattr(os, name) for name in ("scandir", "listdir", "stat", "open", "fdopen")}
OPEN = builtins.open


class Disk:
    """Counts every listing, look and read of paths below a folder, and fails the k-th."""

    def __init__(self, root: Path, fail_at: int, code: int):
        self.root, self.fail_at, self.code = os.fspath(root), fail_at, code
        self.count, self.failed_path = 0, ""
        self.of_fd: dict[int, str] = {}

    def meet(self, path) -> None:
        path = self.of_fd.get(path, "") if isinstance(path, int) else os.fsdecode(path)
        if not path.startswith(self.root):
            return
        self.count += 1
        if self.count == self.fail_at:
            self.failed_path = path
            raise OSError(self.code, os.strerror(self.code), path)

    @contextmanager
    def injected(self, monkeypatch):
        def wrapped(name):
            def call(path=".", *args, **kwargs):
                self.meet(path)
                out = REAL[name](path, *args, **kwargs)
                if name == "open":
                    self.of_fd[out] = os.fsdecode(path)
                return Listing(self, path, out) if name == "scandir" else out

            return call

        def fdopen(fd, *args, **kwargs):
            return io.BufferedReader(Raw(self, fd))

        def open_(path, *args, **kwargs):
            if not isinstance(path, int):
                self.meet(path)
            return OPEN(path, *args, **kwargs)

        with monkeypatch.context() as m:
            for name in REAL:
                m.setattr(os, name, wrapped(name) if name != "fdopen" else fdopen)
            m.setattr(builtins, "open", open_)
            m.setattr(io, "open", open_)
            yield self


class Listing:
    """`os.scandir`'s iterator; each entry read can fail too."""

    def __init__(self, disk, path, entries):
        self.disk, self.path, self.entries = disk, path, entries

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.entries.close()

    def __iter__(self):
        for e in self.entries:
            self.disk.meet(self.path)
            yield e


class Raw(io.RawIOBase):
    """A file each of whose reads can fail."""

    def __init__(self, disk, fd):
        super().__init__()
        self.disk, self.fd, self.path = disk, fd, disk.of_fd.get(fd, "")

    def readable(self):
        return True

    def seekable(self):
        return True

    def fileno(self):
        return self.fd

    def seek(self, offset, whence=0):
        return os.lseek(self.fd, offset, whence)

    def readinto(self, buffer):
        self.disk.meet(self.path)
        got = os.read(self.fd, len(buffer))
        buffer[: len(got)] = got
        return len(got)

    def close(self):
        if not self.closed:
            os.close(self.fd)
        super().close()


def flat(root):
    for i in range(2):
        save(root / f"{i}.png", noise(i))
    return root


def split(root):
    classes(root / "train", n=1)
    classes(root / "test", n=1)
    return root


def deep(root):
    classes(root, ("a",), n=1)
    save(root / "b" / "linked" / "x.tif", noise(3).astype(np.uint16) * 16)
    (root / "c").symlink_to(root / "b" / "linked")
    return root


def archive(root):
    np.savez(root / "x.npz", image=noise(0, 4, 6, 6), label=np.arange(4))
    return root / "x.npz"


def one_file(root):
    save(root / "a.jpg", noise(0, 8, 8, 3))
    return root / "a.jpg"


MADE = [flat, classes, split, deep, archive, one_file]


EACH = list(itertools.product(MADE, ERRORS))


@pytest.mark.parametrize(("make", "code"), few(EACH, *EACH[::3]), ids=lambda v: getattr(v, "__name__", str(v)))
def test_every_error_of_every_listing_and_read_is_a_refusal(make, code, tmp_path, monkeypatch):
    """The k-th call fails, for every k; a disk that fails once is read again, so EIO fails there for good."""
    monkeypatch.setattr(picture, "AGAIN_SECONDS", 0.0)
    root = tmp_path / "data"
    root.mkdir()
    what = make(root)
    streams = (False,) if make in (archive,) else (False, True)
    tried = 0
    for stream in streams:
        whole = data.load(what, stream=stream)
        k = 0
        while True:
            k += 1
            disk = Disk(root, k, ERRORS[code])
            with disk.injected(monkeypatch):
                try:
                    got = data.load(what, stream=stream)
                except UsageError as e:
                    refusal = str(e)
                else:
                    refusal = None
            if not disk.failed_path:
                assert refusal is None
                assert got.spec == whole.spec
                break
            tried += 1
            if refusal is None:  # a disk that answered at the second try
                assert code == "EIO"
                assert got.spec == whole.spec
            else:
                missing = code == "ENOENT" and "there is no such file" in refusal
                assert missing or Path(disk.failed_path).name in refusal, (k, disk.failed_path, refusal)
                assert 1 <= len(refusal.splitlines()) <= 3
    assert tried >= 8


def test_an_unreadable_class_folder_is_no_smaller_data_set(tmp_path, monkeypatch):
    classes(tmp_path, ("ant", "bee", "cat"))
    real = os.scandir

    def closed(path="."):
        if os.fspath(path).endswith("bee"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UsageError, match=r"bee: cannot be read \(Permission denied\).*chmod"):
        data.load(tmp_path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: (d / "dog").symlink_to("nowhere"), r"dog: cannot be read .*a link to nothing"),
        (lambda d: (d / "dog").symlink_to("dog"), r"dog: cannot be read .*leads to itself"),
        (lambda d: (d / "cat" / "again").symlink_to("."), r"again: is the same folder as .*cat, so its files"),
        (lambda d: (d / "cat" / "up").symlink_to(d), r"is the same folder as"),
        (lambda d: (d / "cat" / "x.png").symlink_to(d / "cat"), r"is the same folder as|x\.png: is no file"),
        (lambda d: os.mkfifo(d / "cat" / "p.png"), r"p\.png: is no file but a pipe"),
        (lambda d: (d / "cat" / "z.png").symlink_to("/dev/zero"), r"z\.png: is no file"),
    ],
)
def test_links_and_pipes_are_refused_by_name_and_never_waited_for(make, says, tmp_path):
    classes(tmp_path, ("cat",))
    make(tmp_path)
    with pytest.raises(UsageError, match=says):
        data.load(tmp_path)


def test_a_linked_class_folder_counts(tmp_path):
    classes(tmp_path / "elsewhere", ("pets",))
    classes(tmp_path / "set", ("ant",))
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "elsewhere" / "pets")
    assert data.load(tmp_path / "set").spec.classes == ("ant", "cat")


def prepared(root, name="mnist", version="3.0.1"):
    folder = root / name / version
    folder.mkdir(parents=True)
    about = {"fileFormat": "array_record", "splits": [{"name": "train", "shardLengths": ["3"]}]}
    (folder / "dataset_info.json").write_text(json.dumps(about))
    feature = {"pythonClassName": "tensorflow_datasets.core.features.image_feature.Image"}
    (folder / "features.json").write_text(json.dumps(feature))
    return folder


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "dataset_info.json").unlink(), "half prepared"),
        (lambda f: (f / "dataset_info.json").write_text("{"), r"dataset_info\.json: is damaged"),
        (lambda f: (f / "dataset_info.json").write_text("[]"), r"dataset_info\.json: is damaged"),
        (lambda f: (f / "dataset_info.json").write_text("[" * 100_000), r"dataset_info\.json: is damaged"),
        (lambda f: (f / "features.json").unlink(), r"features\.json: cannot be read"),
        (lambda f: (f / "features.json").write_bytes(b"\xff\xfe"), r"features\.json: is damaged, it is no text"),
        (lambda f: ((f / "features.json").unlink(), os.mkfifo(f / "features.json")), r"features\.json: is no file"),
    ],
)
def test_a_newest_version_that_cannot_be_used_is_no_older_one(spoil, says, tmp_path):
    prepared(tmp_path, version="3.0.0")
    spoil(prepared(tmp_path, version="3.0.1"))
    with pytest.raises(UsageError, match=says):
        tfds.find("mnist", tmp_path)
    assert tfds.find("mnist:3.0.0", tmp_path).version == "3.0.0"
    assert [(u.name, u.version) for u in catalogue.survey(tmp_path)[1]] == [("mnist", "3.0.1")]


def test_errors_of_the_catalogue_are_told_for_every_call(tmp_path, monkeypatch):
    prepared(tmp_path)
    prepared(tmp_path, "b/one", "1.0.0")
    for code in ERRORS.values():
        for k in range(1, 200):
            disk = Disk(tmp_path, k, code)
            with disk.injected(monkeypatch):
                try:
                    good, bad = catalogue.survey(tmp_path)
                except UsageError as e:
                    refusal = str(e)
                else:
                    refusal = None
            if refusal is not None:
                assert Path(disk.failed_path).name in refusal
                continue
            if not disk.failed_path:
                assert (len(good), bad) == (2, [])
                break
            missing = code == errno.ENOENT and disk.failed_path == str(tmp_path)
            assert missing or (len(bad) == 1 and re.search(re.escape(Path(disk.failed_path).name), bad[0].why))
        assert k > 8
