"""Arrays out of a PyTorch weights file, without PyTorch and without executing anything in it.

Such a file describes its tensors in a pickle, and a pickle is a program. Here it is read, not run: a small interpreter
follows the few instructions that describe a dict of tensors, and refuses every other instruction and every name but
those of `ALLOWED`. Python's own unpickler is never asked. Both forms that `torch.save` has had are read: a zip
archive, and before PyTorch 1.6 a plain sequence of pickles and raw storages.
"""

import io
import math
import pickletools
import zipfile
from typing import Any, NamedTuple

import numpy as np

from genjax.errors import UsageError

STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
}  # fmt: skip
REBUILD, ORDERED = ("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict")
ALLOWED = {REBUILD, ORDERED, *(("torch", s) for s in STORAGES)}
"""All that a file may name."""
MAGIC = 0x1950A86A20F9469CFC6C
"""What the older form begins with."""
MOST_PICKLE = 2**24
"""Bytes of a description; that of Inception has some 50,000."""


class Name(NamedTuple):
    """Something the file names, and nothing more than its name."""

    module: str
    name: str


class Storage(NamedTuple):
    """Where a tensor's numbers are."""

    dtype: str
    key: str
    n: int


class Tensor(NamedTuple):
    """A tensor's place in its storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Mark(NamedTuple):
    """A place on the stack of the interpreter."""


def read(content: bytes, name: str) -> dict[str, np.ndarray]:
    """The tensors of a `state_dict` that `torch.save` wrote, by their names.

    Args:
        content: the file's bytes.
        name: the file's name, for messages.

    Raises:
        UsageError: the file names anything but tensors (and what it names), is damaged, or is of another kind.
    """
    try:
        if content[:2] == b"PK":
            tree, storages = _from_zip(content)
        else:
            tree, storages = _from_sequence(content)
        if not isinstance(tree, dict):
            raise UsageError(f"holds a {type(tree).__name__}, not a dict of tensors.")
        if sum(_n_bytes(t) for t in tree.values()) > len(content):
            raise UsageError("describes more numbers than it holds.")  # one storage, a million times
        return {_text(k): _array(v, storages) for k, v in tree.items()}
    except UsageError as e:
        raise UsageError(f"{name}: {e}") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile,
            NotImplementedError, OverflowError, RuntimeError) as e:  # fmt: skip
        raise UsageError(f"{name}: is damaged, or no PyTorch weights file ({type(e).__name__}: {e}).") from None


def _from_zip(content: bytes) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {m.filename: m for m in archive.infolist()}
        described = [n for n in members if n.endswith("data.pkl") and n.count("/") <= 1]
        if len(described) != 1:
            raise UsageError("is a zip archive, but has no data.pkl: not a PyTorch weights file.")
        # torch.save compresses nothing; what is compressed may be a thousand times as large as it looks.
        if packed := [n for n, m in members.items() if m.compress_type != zipfile.ZIP_STORED]:
            raise UsageError(f"{packed[0]} in it is compressed, which torch.save does not do.")
        folder = described[0].removesuffix("data.pkl")
        tree = _evaluate(io.BytesIO(archive.read(described[0])))
        inside = f"{folder}data/"
        return tree, {n.removeprefix(inside): archive.read(n) for n in members if n.startswith(inside)}


def _from_sequence(content: bytes) -> tuple[Any, dict[str, bytes]]:
    file = io.BytesIO(content)
    if _evaluate(file) != MAGIC:
        raise UsageError("is neither of the forms that torch.save writes.")
    _evaluate(file), _evaluate(file)  # protocol, and sizes of C's integers
    tree, keys = _evaluate(file), _evaluate(file)
    sizes = {t.storage.key: np.dtype(t.storage.dtype).itemsize for t in tree.values() if isinstance(t, Tensor)}
    storages = {}
    for key in keys:
        n = int.from_bytes(_exactly(file, 8), "little")
        storages[key] = _exactly(file, n * sizes[key])
    return tree, storages


def _exactly(file: io.BytesIO, n: int) -> bytes:
    content = file.read(n)
    if len(content) != n:
        raise EOFError(f"{n} bytes wanted, {len(content)} left")
    return content


def _n_bytes(tensor: Any) -> int:
    if not isinstance(tensor, Tensor):
        raise UsageError(f"holds a {type(tensor).__name__} among its tensors.")
    return math.prod(tensor.shape) * np.dtype(tensor.storage.dtype).itemsize


def _array(tensor: Tensor, storages: dict[str, bytes]) -> np.ndarray:
    """The tensor as an array of its own."""
    (dtype, key, n), offset, shape, strides = tensor
    numbers = np.frombuffer(storages[key], dtype)
    if len(numbers) != n:
        raise ValueError(f"storage {key} has {len(numbers)} numbers, not {n}")
    if len(shape) != len(strides) or min((offset, *shape, *strides)) < 0:
        raise ValueError(f"a tensor of shape {shape} with strides {strides}")
    last = offset + sum((s - 1) * t for s, t in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= n:
        raise ValueError(f"a tensor of shape {shape} reaches beyond its storage of {n}")
    steps = [t * numbers.itemsize for t in strides]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False).copy()


# ---- the interpreter


def _evaluate(file: io.BytesIO) -> Any:
    """What the pickle that begins here describes; the file stands behind it afterwards."""
    start, stack, memo = file.tell(), [], {}
    for op, arg, _ in pickletools.genops(file):
        if file.tell() - start > MOST_PICKLE:
            raise UsageError(f"its description is longer than {MOST_PICKLE} bytes.")
        if op.name in ("PROTO", "FRAME"):
            continue
        if op.name == "STOP":
            return stack.pop()
        if op.name in _CONSTANTS:
            stack.append(_CONSTANTS[op.name])
        elif op.name in _LITERALS:
            stack.append(arg)
        elif op.name in _ACTIONS:
            _ACTIONS[op.name](stack, memo, arg)
        else:
            raise UsageError(f"uses the pickle instruction {op.name}, which no weights file needs. It was not run.")
    raise EOFError("the description does not end")


_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING", "BINSTRING"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": Mark()}


def _name(module: Any, name: Any) -> Name:
    if (module, name) not in ALLOWED:
        raise UsageError(f"names {module}.{name}, and only tensors may be named. Nothing in it was run.")
    return Name(module, name)


def _global(stack: list, memo: dict, arg: Any) -> None:
    stack.append(_name(*arg.split(" ", 1)))


def _stack_global(stack: list, memo: dict, arg: Any) -> None:
    name, module = stack.pop(), stack.pop()
    stack.append(_name(module, name))


def _reduce(stack: list, memo: dict, arg: Any) -> None:
    """A tensor from its parts, or an empty dict: the two calls there can be."""
    args, what = stack.pop(), stack.pop()
    if not isinstance(args, tuple) or not isinstance(what, Name):
        raise ValueError("a call of what is not a name")
    if what == ORDERED and not args:
        stack.append({})
    elif what == REBUILD:
        storage, offset, shape, strides, *_ = args
        if not isinstance(storage, Storage) or not all(type(n) is int for n in (offset, *shape, *strides)):
            raise ValueError("a tensor without storage or sizes")
        stack.append(Tensor(storage, offset, tuple(shape), tuple(strides)))
    else:
        raise UsageError(f"calls {what.module}.{what.name} with {len(args)} arguments. Nothing in it was run.")


def _storage(stack: list, memo: dict, arg: Any) -> None:
    kind, typed, key, _, n, *_ = stack.pop()
    if kind != "storage" or not isinstance(typed, Name) or typed.name not in STORAGES:
        raise ValueError(f"a {kind} of {typed}")
    stack.append(Storage(STORAGES[typed.name], _text(key), int(n)))


def _build(stack: list, memo: dict, arg: Any) -> None:
    """Attributes of a dict (`_metadata`, the versions of its modules), which are left out."""
    stack.pop()
    if not isinstance(stack[-1], dict):
        raise UsageError("gives attributes to something that is not a dict.")


def _since_mark(stack: list) -> list:
    at = max(i for i, v in enumerate(stack) if isinstance(v, Mark))
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _set_items(stack: list, memo: dict, arg: Any) -> None:
    items = _since_mark(stack)
    _dict(stack).update(zip(map(_text, items[::2]), items[1::2], strict=True))


def _set_item(stack: list, memo: dict, arg: Any) -> None:
    value, key = stack.pop(), stack.pop()
    _dict(stack)[_text(key)] = value


def _dict(stack: list) -> dict:
    if not isinstance(stack[-1], dict):
        raise ValueError("items of what is not a dict")
    return stack[-1]


def _text(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{key!r} where a name was expected")
    return key


def _gather(n: int):
    """The last n of the stack as a tuple."""

    def gather(stack: list, memo: dict, arg: Any) -> None:
        items = tuple(stack[-n:])
        if len(items) < n:
            raise IndexError("a tuple of what is not there")
        stack[-n:] = [items]

    return gather


def _remember(stack: list, memo: dict, arg: Any) -> None:
    memo[len(memo) if arg is None else arg] = stack[-1]


_ACTIONS = {
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
    "BINPERSID": _storage,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "EMPTY_DICT": lambda stack, memo, arg: stack.append({}),
    "EMPTY_LIST": lambda stack, memo, arg: stack.append([]),
    "APPEND": lambda stack, memo, arg: stack[-2].append(stack.pop()),
    "APPENDS": lambda stack, memo, arg: (items := _since_mark(stack)) and stack[-1].extend(items),
    "TUPLE": lambda stack, memo, arg: stack.append(tuple(_since_mark(stack))),
    "TUPLE1": _gather(1),
    "TUPLE2": _gather(2),
    "TUPLE3": _gather(3),
    "BINPUT": _remember,
    "LONG_BINPUT": _remember,
    "MEMOIZE": _remember,
    "BINGET": lambda stack, memo, arg: stack.append(memo[arg]),
    "LONG_BINGET": lambda stack, memo, arg: stack.append(memo[arg]),
}
