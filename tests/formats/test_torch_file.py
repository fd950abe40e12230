"""PyTorch files without PyTorch: what is read, and what is refused unexecuted."""

import collections
import os
import pickle
import zipfile

import numpy as np
import pytest
from torch_writer import A, B, Call, Global, archive, pickled, sequence, tensor

from genjax.errors import UsageError
from genjax.formats import torch_file

STORAGES = {"0": A.tobytes(), "1": B.tobytes()}


@pytest.mark.parametrize("protocol", [2, 4])
def test_reads_a_zip_archive(protocol):
    content = archive(pickled({"a.weight": tensor("0", A), "n": tensor("1", B)}, protocol), STORAGES)
    got = torch_file.read(content, "F")
    np.testing.assert_array_equal(got["a.weight"], A)
    np.testing.assert_array_equal(got["n"], B)
    assert got["n"].dtype == np.int64
    assert list(got) == ["a.weight", "n"]


def test_reads_the_older_form():
    tree = {"a": tensor("17", A, legacy=True), "n": tensor("5", B, legacy=True)}
    got = torch_file.read(sequence(tree, {"17": A, "5": B}), "F")
    np.testing.assert_array_equal(got["a"], A)
    np.testing.assert_array_equal(got["n"], B)


def test_views_are_read_by_their_strides():
    tree = {
        "turned": tensor("0", A, shape=(4, 3), strides=(1, 4)),
        "part": tensor("0", A, offset=12, shape=(3,), strides=(4,)),
        "number": tensor("1", B, offset=3, shape=(), strides=()),
        "empty": tensor("1", B, shape=(0, 2), strides=(2, 1)),
    }
    got = torch_file.read(archive(pickled(tree), STORAGES), "F")
    np.testing.assert_array_equal(got["turned"], A[0].T)
    np.testing.assert_array_equal(got["part"], A[1, :, 0])
    assert got["number"] == 3
    assert got["number"].shape == ()
    assert got["empty"].shape == (0, 2)


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("torch._utils", "_rebuild_parameter"), ("torch", "load"),
     ("collections", "deque"), ("numpy.core.multiarray", "_reconstruct"), ("torch", "FloatStorage.__class__")],
)  # fmt: skip
def test_any_other_name_is_refused_with_what_it_was(module, name):
    description = pickled({"a": Call(Global(module, name), "touch x")})
    for content in (archive(description, {}), sequence({"a": Call(Global(module, name), "x")}, {})):
        with pytest.raises(UsageError, match=rf"F: names {module}\.{name}, and only tensors may be named"):
            torch_file.read(content, "F")


def test_a_pickle_that_would_run_a_program_runs_none(tmp_path):
    """A real one, made by Python's own pickle: it works there, and is refused here."""
    witness = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(witness),)

    for protocol in range(6):
        content = archive(pickle.dumps({"a": Evil()}, protocol), {})
        with pytest.raises(UsageError, match=r"names (posix|nt)\.mkdir|instruction"):
            torch_file.read(content, "F")
        assert not witness.exists()
    pickle.loads(pickle.dumps(Evil(), 2))
    assert witness.exists()


@pytest.mark.parametrize(
    ("code", "instruction"),
    [
        (b"\x80\x02ios\nsystem\n.", "INST"),
        (b"\x80\x02(S'ls'\nios\nsystem\n.", "STRING"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02Pstorage\n.", "PERSID"),
        (b"\x80\x02(ccollections\nOrderedDict\no.", "OBJ"),
        (b"\x80\x04\x8f.", "EMPTY_SET"),
    ],
)
def test_other_instructions_are_refused(code, instruction):
    with pytest.raises(UsageError, match=f"uses the pickle instruction {instruction},"):
        torch_file.read(archive(code, {}), "F")


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x02ccollections\nOrderedDict\n}b.",  # attributes of a name
        b"\x80\x02ccollections\nOrderedDict\n(K\x01K\x02e.",  # items of one
        b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.",  # called with something
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02}K\x01K\x02s.",  # a key that is no name
        b"\x80\x02K\x01Q.",  # a persistent id that is none
        b"\x80\x02}}R.",  # a dict called
        b"\x80\x02h\x07.",  # nothing remembered there
        b"\x80\x02R.",  # an empty stack
        b"\x80\x02}",  # no end
        b"\x80\x02K\x01.",  # not a dict
        b"\x80\x02]](K\x01e.",  # items of nothing
        b"",
    ],
)
def test_descriptions_that_make_no_sense_are_refused(code):
    with pytest.raises(UsageError, match=r"^F: "):
        torch_file.read(archive(code, {}), "F")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shape": (2, 3, 5), "strides": (15, 5, 1)}, "more numbers than it holds|beyond its storage"),
        ({"offset": 1}, "beyond its storage"),
        ({"offset": -1}, "with strides"),
        ({"shape": (2, 3), "strides": (-1, 1)}, "with strides"),
        ({"shape": (2, 3), "strides": (1,)}, "with strides"),
        ({"n": 25}, "has 24 numbers, not 25"),
        ({"shape": (10**6, 10**6), "strides": (0, 0)}, "more numbers than it holds"),
        ({"shape": (2, "3"), "strides": (3, 1)}, "without storage or sizes"),
        ({"shape": (2, True), "strides": (3, 1)}, "without storage or sizes"),
    ],
)
def test_tensors_outside_their_storage_are_refused(changes, says):
    with pytest.raises(UsageError, match=says):
        torch_file.read(archive(pickled({"a": tensor("0", A, **changes)}), STORAGES), "F")


def test_every_truncation_is_refused():
    tree = {"a": tensor("0", A, legacy=True), "n": tensor("1", B, legacy=True)}
    for content in (archive(pickled(tree), STORAGES), sequence(tree, {"0": A, "1": B})):
        for n in range(len(content)):
            with pytest.raises(UsageError, match=r"^F: "):
                torch_file.read(content[:n], "F")


def test_a_flipped_bit_in_a_storage_is_found_by_the_archive():
    content = bytearray(archive(pickled({"a": tensor("0", A)}), STORAGES))
    content[content.index(A.tobytes()) + 7] ^= 1
    with pytest.raises(UsageError, match="damaged"):
        torch_file.read(bytes(content), "F")


def test_archives_of_another_kind_are_refused():
    description = pickled({"a": tensor("0", A)})
    with pytest.raises(UsageError, match=r"no data\.pkl"):
        torch_file.read(archive(description, STORAGES, pkl="archive/code.pkl"), "F")
    with pytest.raises(UsageError, match="compressed"):
        torch_file.read(archive(description, STORAGES, compress=zipfile.ZIP_DEFLATED), "F")
    with pytest.raises(UsageError, match="damaged"):
        torch_file.read(archive(description, {}), "F")
    for content in (b"", b"hello", pickle.dumps([1]), pickle.dumps(collections.OrderedDict())):
        with pytest.raises(UsageError, match=r"^F: "):
            torch_file.read(content, "F")
