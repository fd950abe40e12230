"""Data from anybody: nothing is executed or spawned, nothing waits, nothing takes memory on a header's word."""

import io
import json
import os
import random
import re
import socket
import struct
import sys
import sysconfig
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from data.pictures import classes, noise, save
from PIL import Image

import genjax
from genjax import data, headroom
from genjax.data import folder, loading
from genjax.errors import UsageError
from genjax.formats import picture

SECONDS = 20.0
"""No refusal takes longer."""
HOMES = (*sysconfig.get_paths().values(), Path(genjax.__file__).parent, sys.prefix)
OWN = tuple({str(Path(p).resolve()) for p in HOMES})
TESTS = str(Path(__file__).resolve().parent.parent)
watched: list[str] | None = None


def _audit(event, args):
    if watched is None:
        return
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn"):
        watched.append(f"{event} {args[:1]}")
    elif event == "ctypes.dlopen" and args[0] and os.sep in str(args[0]) and not str(args[0]).startswith(OWN):
        watched.append(f"{event} {args[0]}")
    elif event == "pickle.find_class":
        watched.append(f"{event} {args}")
    elif event == "exec":
        name = args[0].co_filename
        if os.sep in name and not name.startswith("<") and not os.path.realpath(name).startswith((*OWN, TESTS)):
            watched.append(f"{event} {name}")
    elif event == "import" and args[1] and not os.path.realpath(str(args[1])).startswith((*OWN, TESTS)):
        watched.append(f"{event} {args[:2]}")


sys.addaudithook(_audit)


def outcome(what, **options):
    """`loaded` or the refusal's text; anything else fails the test."""
    global watched
    watched, began = [], time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = data.load(what, **options)
            data.take(got.train, np.arange(min(3, data.size(got.train))))
            said = "loaded"
    except UsageError as e:
        said = str(e)
        assert 1 <= len(said.splitlines()) <= 3, said
        assert all(c.isprintable() or c == "\n" for c in said), said
        said.encode("utf-8")
    finally:
        seen, watched = watched, None
    assert seen == []
    assert time.monotonic() - began < SECONDS
    return said


POST_SCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) (w) file closefile\nshowpage\n"
FOREIGN = {
    "PostScript": POST_SCRIPT,
    "DOS EPS": b"\xc5\xd0\xd3\xc6" + struct.pack("<I", 30) + b"\0" * 22 + POST_SCRIPT,
    "PDF": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + b"\0" * 40,
    "pickle": b"\x80\x04cposix\nsystem\n(S'id'\ntR.",
    "Python": b"import os\nos.system('id')\n",
    "shell": b"#!/bin/sh\nid\n",
    "ICNS": b"icns\0\0\0\x10ic07\0\0\0\x08",
    "FITS": b"SIMPLE  =                    T" + b" " * 50,
    "nothing": b"",
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".ppm", ".gif"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_other_formats_are_refused_by_name_and_nothing_is_spawned(kind, suffix, tmp_path):
    classes(tmp_path, ("cat",))
    (tmp_path / "cat" / f"zz{suffix}").write_bytes(FOREIGN[kind])
    for stream in (False, True):
        assert f"zz{suffix}: cannot be read as an image" in outcome(tmp_path, stream=stream)
    assert f"zz{suffix}: cannot be read as an image" in outcome(tmp_path / "cat" / f"zz{suffix}")


def test_features_of_another_s_code_are_not_imported(tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text("raise SystemExit('executed')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for key in ("pythonClassName", "type"):
        folder_ = tmp_path / key / "mine" / "1.0.0"
        folder_.mkdir(parents=True)
        about = {"name": "mine", "version": "1.0.0", "fileFormat": "array_record"}
        about |= {"splits": [{"name": "train", "shardLengths": ["3"], "numBytes": "3"}], "moduleName": "evil_module"}
        (folder_ / "dataset_info.json").write_text(json.dumps(about))
        image = {"pythonClassName": "tensorflow_datasets.core.features.image_feature.Image"}
        features = {"image": image, "other": {key: "evil_module.Feature"}}
        (folder_ / "features.json").write_text(json.dumps({"featuresDict": {"features": features}}))
        assert "evil_module.Feature, code that is not TFDS's own" in outcome("mine", data_dir=tmp_path / key)


def header_png(width, height, depth=8, colour=0):
    """A PNG whose header is all there is to it but a little data."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    about = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = chunk(b"IHDR", about) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


@pytest.mark.parametrize(("w", "h"), [(30_000, 30_000), (10_000, 9_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)])
def test_a_picture_too_large_is_refused_from_its_header(w, h, tmp_path):
    (tmp_path / "a.png").write_bytes(header_png(w, h))
    for stream in (False, True):
        said = outcome(tmp_path, stream=stream, image_size=8)
        assert "a.png: is too large" in said or "a.png: cannot be read as an image" in said


def npy(shape, dtype="|u1", content=b"", version=1, raw_header=None):
    header = raw_header or f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    header = header.encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + content


PIXELS = npy((1, 8, 8), content=b"\0" * 64)
CRAFTED = {
    "huge": ([("image.npy", npy((10**9, 1000, 1000)))], "its header says"),
    "huge, one axis too": ([("image.npy", npy((10**18, 10**18, 3)))], "its header says"),
    "negative": ([("image.npy", npy((-3, 8, 8)))], "its header says"),
    "truncated": ([("image.npy", npy((4, 8, 8), content=b"\0" * 99))], "its header says"),
    "longer": ([("image.npy", npy((4, 8, 8), content=b"\0" * 999))], "its header says"),
    "objects": ([("image.npy", npy((4, 8, 8), "|O", b"\x80\x04."))], "pickled objects"),
    "object labels": ([("image.npy", PIXELS), ("label.npy", npy((1,), "|O"))], "pickled objects"),
    "a nested dtype": ([("image.npy", npy((4, 8, 8), [("a", "|O")]))], "pickled objects|dtype|cannot be read"),
    "complex": ([("image.npy", npy((1, 8, 8), "<c16", b"\0" * 1024))], "complex128"),
    "dates": ([("image.npy", npy((1, 8, 8), "<M8[s]", b"\0" * 512))], "datetime64"),
    "void of no size": ([("image.npy", npy((10**12, 8, 8), "|V0"))], "dtype|cannot be read"),
    "texts of no size": ([("image.npy", PIXELS), ("label.npy", npy((10**15,), "<U0"))], "labels|needs 2 PB"),
    "twice": ([("image.npy", PIXELS)] * 2, "two arrays named 'image'"),
    "with and without suffix": ([(n, PIXELS) for n in ("image.npy", "image")], "two arrays"),
    "no header": ([("image.npy", b"")], "cannot be read as"),
    "no array": ([("image.npy", b"hello")], "cannot be read as"),
    "a call in its header": ([("image.npy", npy((), raw_header="__import__('os').system('id')"))], "cannot be read as"),
    "a deep header": ([("image.npy", npy((), raw_header="(" * 5000))], "cannot be read as"),
    "a long header": ([("image.npy", npy((), raw_header=" " * 60_000))], "cannot be read as"),
    "version 3": ([("image.npy", npy((1, 8, 8), version=3))], "format 3"),
    "version 9": ([("image.npy", npy((1, 8, 8), version=9))], "format 9|cannot be read as"),
    "32 axes": ([("image.npy", npy((1,) * 40, content=b"\0"))], "cannot be read|its header says|axes"),
    "empty": ([], "It holds: nothing"),
    "an evil name": ([("im\x1b[2Jage\n.npy", npy((1,), content=b"\0"))], r"im\\x1b\[2Jage"),
}


@pytest.mark.parametrize("kind", CRAFTED)
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_crafted_archives_are_refused_from_their_headers(kind, packing, tmp_path):
    members, says = CRAFTED[kind]
    with zipfile.ZipFile(tmp_path / "x.npz", "w", packing) as f, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members:
            f.writestr(name, content)
    said = outcome(tmp_path / "x.npz")
    assert re.search(says, said), said
    assert "x.npz" in said


def test_an_archive_of_what_memory_does_not_hold_is_refused_with_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(headroom, "available", lambda: 200 * 10**6)
    image = np.zeros((100, 1000, 1000), np.uint8)
    np.savez_compressed(tmp_path / "bomb.npz", image=image)
    assert (tmp_path / "bomb.npz").stat().st_size < 3e6
    said = outcome(tmp_path / "bomb.npz")
    assert "bomb.npz: image 100x1000x1000 uint8: needs 300 MB of memory, 200 MB are free" in said


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_and_locks_are_refused(method, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as f:
        f.writestr("image.npy", npy((1, 8, 8), content=b"\0" * 64))
    assert "packed as np.savez does not" in outcome(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", image=noise(0, 1, 8, 8))
    locked = bytearray((tmp_path / "x.npz").read_bytes())
    for at in (6, locked.rindex(b"PK\1\2") + 8):
        locked[at] |= 1
    (tmp_path / "x.npz").write_bytes(locked)
    assert "encrypted" in outcome(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["x.npz", "x.png", "x", "class/x.png"])
def test_pipes_sockets_and_devices_are_never_waited_for(name, tmp_path, short_tmp):
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    os.mkfifo(place)
    assert "is no file but a pipe" in outcome(place)
    if name.endswith("png"):
        assert "is no file but a pipe" in outcome(place.parent)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(short_tmp / "s.png"))
        assert "is no file but a pipe, a socket" in outcome(short_tmp / "s.png")
        assert "is no file but a pipe, a socket" in outcome(short_tmp)
    for device in ("/dev/zero", "/dev/null", "/dev/full"):
        assert "is no file but" in outcome(device)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("./" + "a" * 300, "File name too long"),
        ("a" * 300, "File name too long"),
        ("a/" * 3000, "File name too long"),
        ("./a\0b", "null byte"),
        ("a\0b", "null byte"),
        ("~nobody_of_this_name/x", "no such user"),
        ("./\udcff\x1b[2J", r"there is no such file"),
        ("\n", "there is no such file"),
        ("-x", "no data set of this name"),
        ("./x.npy", "no such file"),
        (b"digits", "array"),
        (7, "axes"),
        ({}, "objects"),
    ],
)
def test_odd_names_are_refused_in_words(what, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert says in outcome(what, data_dir=tmp_path)


def test_names_that_are_no_text_are_read_and_shown_as_escapes(tmp_path):
    root = os.fsencode(tmp_path) + b"/n\xff\n\x1b[31m"
    for name in (b"c\xfe\x1b", b"-rf", "\u202egnp".encode(), b"x" * 200):
        os.makedirs(root + b"/" + name)
        save(tmp_path / "a.png", noise(1))
        (Path(os.fsdecode(root + b"/" + name)) / os.fsdecode(b"-n\xff\n" + b"y" * 200 + b".png")).write_bytes(
            (tmp_path / "a.png").read_bytes()
        )
    got = data.load(os.fsdecode(root))
    assert got.spec.name == r"n\xff\n\x1b[31m"
    assert got.spec.classes == ("-rf", r"c\xfe\x1b", "x" * 200, r"\u202egnp")
    for text in (repr(got), str(got.spec)):
        text.encode()
        assert text.isprintable()
    (Path(os.fsdecode(root + b"/-rf")) / "z.png").write_bytes(b"")
    assert r"n\xff\n\x1b[31m/-rf/z.png: cannot be read" in outcome(os.fsdecode(root))


# ---- seeded fuzz ------------------------------------------------------------------------------------------------


def seeds_of_pictures():
    """One small file of every format and of many modes."""
    rgb, gray = noise(0, 6, 7, 3), noise(1, 6, 7)
    exif = Image.Exif()
    exif[0x0112] = 6
    deep, rgba, lzw = gray.astype(np.uint16) * 16, noise(2, 6, 7, 4), {"compression": "tiff_lzw"}
    made = [
        *((rgb, kind, {}) for kind in ("PNG", "BMP", "TIFF", "WEBP", "PPM")), (deep, "PNG", {}), (deep, "TIFF", {}),
        *((gray, kind, {}) for kind in ("PNG", "JPEG", "GIF", "PPM")), (rgb, "JPEG", {"exif": exif}),
        (rgb, "TIFF", lzw),
        (rgb, "WEBP", {"lossless": True}), (rgba, "PNG", {}),
    ]  # fmt: skip
    out = []
    for array, kind, options in made:
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, kind, **options)
        out.append(buffer.getvalue())
    return out


def mutated(r, content):
    """A few changes of the kinds that fuzzers make."""
    b = bytearray(content)
    for _ in range(r.choice((1, 1, 2, 4, 16))):
        if not b:
            break
        at, kind = r.randrange(len(b)), r.randrange(7)
        if kind == 0:
            b[at] ^= 1 << r.randrange(8)
        elif kind == 1:
            b[at] = r.randrange(256)
        elif kind == 2:
            del b[at : at + r.randrange(1, 40)]
        elif kind == 3:
            b[at:at] = bytes(r.randrange(256) for _ in range(r.randrange(1, 20)))
        elif kind == 4:
            del b[at:]
        elif kind == 5:
            value = r.choice((0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, r.randrange(2**32)))
            b[at : at + 4] = struct.pack(r.choice("<>") + "I", value)
        else:
            b[at:at] = b[at : at + r.randrange(1, 30)]
    return bytes(b)


def refused(load, content):
    """What is said of content that cannot be loaded; empty where it can."""
    try:
        load(content)
    except UsageError as e:
        return str(e)
    return ""


def fuzz(n, seed, contents, load):
    """Loads n mutations; how many were loaded. Every other one must be refused, in time, by its name."""
    r, loaded, slowest = random.Random(seed), 0, 0.0
    for i in range(n):
        content = mutated(r, r.choice(contents))
        began = time.monotonic()
        refusal = refused(load, content)
        loaded += not refusal
        assert not refusal or ("fuzzed" in refusal and len(refusal.splitlines()) <= 3), (i, refusal)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < SECONDS
    return loaded


def fuzz_pictures(n, seed, tmp_path):
    """Header, range and pixels, as a folder of one file goes through them."""
    file = tmp_path / "fuzzed.png"

    def load(content):
        file.write_bytes(content)
        header = picture.header_of(file)
        if header.deep:
            picture.largest_value(file)
        image = picture.decode(file, 1 if header.gray else 3, None)
        assert image.dtype == np.uint8
        assert image.shape[:2] == header.size

    global watched
    watched = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = fuzz(n, seed, seeds_of_pictures(), load)
        assert watched == []
    finally:
        watched = None
    assert 0.02 * n < loaded < 0.98 * n  # the fuzz meets decoders, not only their doors


def test_fuzzed_pictures(tmp_path):
    fuzz_pictures(1500, 0, tmp_path)


@pytest.mark.slow
def test_many_fuzzed_pictures(tmp_path):
    fuzz_pictures(60_000, 1, tmp_path)


def seeds_of_archives():
    out = []
    for save_ in (np.savez, np.savez_compressed):
        for arrays in (
            {"image": noise(0, 4, 6, 6), "label": np.arange(4)},
            {"image": noise(0, 4, 6, 6) / 255, "label": np.array(list("abca"))},
            {
                "train_image": noise(0, 4, 6, 6, 3), "train_label": np.arange(4)[:, None],
                "test_image": noise(1, 2, 6, 6, 3), "test_label": np.array([0, 9]),
            },
            {
                "image": noise(0, 4, 6, 6).astype(np.uint16) * 16, "label": np.array([1, 0, 1, 1]),
                "classes": np.array(["x", "y"]),
            },
        ):  # fmt: skip
            buffer = io.BytesIO()
            save_(buffer, **arrays)
            out.append(buffer.getvalue())
    return out


def inner(r, archive):
    """The archive anew with one member's bytes mutated: its checksums are right, its headers are not."""
    with zipfile.ZipFile(io.BytesIO(archive)) as f:
        members = {name: f.read(name) for name in f.namelist()}
    name = r.choice(sorted(members))
    at = members[name][:128]
    members[name] = mutated(r, at) + members[name][128:] if r.random() < 0.8 else mutated(r, members[name])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", r.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as f:
        for name, content in members.items():
            f.writestr(name, content)
    return buffer.getvalue()


def fuzz_archives(n, seed, tmp_path):
    file, r = tmp_path / "fuzzed.npz", random.Random(seed)

    def load(content):
        file.write_bytes(content)
        got = loading.load(file)
        assert got.train.x.dtype == np.uint8
        assert got.train.y is None or got.train.y.max() < got.spec.n_classes

    archives = seeds_of_archives()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outer = fuzz(n // 2, seed, archives, load)
        told = [refused(load, inner(r, r.choice(archives))) for _ in range(n // 2)]
    assert all("fuzzed" in t for t in told if t)
    assert outer < n // 2
    assert 0 < told.count("") < n // 2


def test_fuzzed_archives(tmp_path):
    fuzz_archives(1000, 0, tmp_path)


@pytest.mark.slow
def test_many_fuzzed_archives(tmp_path):
    fuzz_archives(40_000, 1, tmp_path)


def test_fuzzed_labels():
    """Any array for labels: classes 0 ... k - 1 that all occur, or a refusal."""
    r, image, n_refused = np.random.default_rng(0), noise(0, 6, 8, 8), 0
    kinds = ["u1", "i1", "u2", "i8", "u8", "f4", "f8", "f2", "?", "U3", "S3", "c8", "M8[s]", "O", "V4"]
    for _ in range(1000):
        shape = [(6,), (6, 1), (6, 2), (1, 6), (5,), (), (6, 1, 1), (0,)][r.choice(8, p=[0.5, 0.2, *[0.05] * 6])]
        kind = kinds[r.integers(len(kinds))]
        raw = r.integers(0, 256, (int(np.prod(shape, dtype=int)), np.dtype(kind).itemsize or 1), np.uint8)
        if kind == "O":
            label = np.array(r.choice([None, "a", 3.5, 1], size=shape), dtype=object)
        elif kind == "U3":
            label = r.choice(["cat", "dog", "\x1b[2J", "", "\u202e"], size=shape)
        elif kind == "?":
            label = r.random(shape) < 0.5
        else:
            label = raw.tobytes() and np.frombuffer(raw.tobytes(), kind).reshape(shape)
            label = np.zeros(shape, kind) if isinstance(label, bytes) else label
            if r.random() < 0.3 and label.dtype.kind in "iuf":
                label = np.nan_to_num(label.astype(np.float64), posinf=0, neginf=0).__mod__(11).astype(label.dtype)
        got = []
        if refused(lambda label, got=got: got.append(data.load((image, label))), label):
            n_refused += 1
            continue
        (got,) = got
        assert sorted(set(got.train.y.tolist())) == list(range(got.spec.n_classes))
        assert len(got.spec.classes) == got.spec.n_classes
        assert all(c.isprintable() for c in got.spec.classes)
    assert 200 < n_refused < 900


@pytest.mark.slow
def test_large_pictures_stream_and_are_refused_where_memory_does_not_hold_them(tmp_path, monkeypatch):
    """2000x2000 pixels each: a few at a time are read, whatever the fingerprint looks at."""
    save(tmp_path / "00.png", np.zeros((2000, 2000, 3), np.uint8) + np.arange(3, dtype=np.uint8))
    for i in range(1, 12):
        os.link(tmp_path / "00.png", tmp_path / f"{i:02d}.png")
    real, most = folder.np.empty, []

    def empty(shape, *args):
        most.append(int(np.prod(shape)))
        return real(shape, *args)

    monkeypatch.setattr(folder, "_n_threads", lambda: 2)
    monkeypatch.setattr(folder.np, "empty", empty)
    streamed = data.load(tmp_path, stream=True)
    assert max(most) <= 64 * 2**20
    monkeypatch.setattr(headroom, "available", lambda: 120 * 10**6)
    said = outcome(tmp_path, stream=False)
    assert "12 images of 2000x2000x3: needs 288 MB of memory, 120 MB are free.\nGive --image-size" in said
    with pytest.raises(UsageError, match=r"12 examples of 2000x2000x3: needs 144 MB"):
        data.take(streamed.train, np.arange(12))
    with pytest.raises(
        UsageError, match=r"batch_size=12 of examples of 2000x2000x3.*needs 864 MB.*\nGive .*--image-size"
    ):
        data.make_source(streamed.train, 12)
    monkeypatch.setattr(headroom, "available", lambda: 60 * 10**6)
    assert "00.png: is 2000x2000; decoding 2 such pictures at once: needs 96 MB" in outcome(tmp_path, stream=True)
