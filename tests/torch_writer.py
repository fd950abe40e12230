"""Files as `torch.save` writes them, made by hand so that no PyTorch is needed."""

import io
import pickle
import struct
import zipfile
from typing import ClassVar

import numpy as np

from genjax.formats import torch_file

A = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
B = np.arange(5, dtype=np.int64)


class Global:
    """Pickled as a name, whether there is such a thing or not."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickled as `what(*args)`."""

    def __init__(self, what, *args):
        self.what, self.args = what, args


class Stored:
    """Pickled as a persistent id."""

    def __init__(self, *pid):
        self.pid = pid


class Pickler(pickle._Pickler):
    """Python's pickler, taught to write names it cannot import."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Stored) else None

    def save_global_name(self, obj):
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    def save_call(self, obj):
        self.save(obj.what)
        self.save(obj.args)
        self.write(pickle.REDUCE)

    dispatch[Global] = save_global_name
    dispatch[Call] = save_call


def pickled(obj, protocol=2):
    file = io.BytesIO()
    Pickler(file, protocol).dump(obj)
    return file.getvalue()


REBUILD = Global("torch._utils", "_rebuild_tensor_v2")
ORDERED = Global("collections", "OrderedDict")


def tensor(key, a, legacy=False, offset=0, shape=None, strides=None, n=None):
    kind = {"f": "FloatStorage", "i": "LongStorage"}[a.dtype.kind]
    pid = ("storage", Global("torch", kind), key, "cpu", a.size if n is None else n, *([None] if legacy else []))
    shape = a.shape if shape is None else shape
    strides = tuple(s // a.itemsize for s in a.strides) if strides is None else strides
    return Call(REBUILD, Stored(*pid), offset, shape, strides, False, Call(ORDERED))


def archive(description, storages, *, compress=zipfile.ZIP_STORED, pkl="archive/data.pkl"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as z:
        z.writestr(pkl, description)
        z.writestr("archive/version", "3\n")
        for key, content in storages.items():
            z.writestr(f"archive/data/{key}", content)
    return file.getvalue()


def sequence(obj, storages):
    """The form of PyTorch before 1.6; storages {key: array}."""
    head = [pickled(v) for v in (torch_file.MAGIC, 1001, {"little_endian": True}, obj, list(storages))]
    return b"".join(head + [struct.pack("<q", a.size) + a.tobytes() for a in storages.values()])
