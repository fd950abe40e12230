"""Data: numpy in, `Batch` out.

`load` gives a `Dataset`, `make_source` the batches of a step as a function of (key, step), a `Transform` takes raw
pixels to a model's range and back. Names are imported when first asked for, so that `names` and `prepared` answer
without jax.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genjax.data.augment import flip, shift
    from genjax.data.catalogue import Prepared, data_dir_of, names, prepared, survey
    from genjax.data.classes import class_number, folder_names, matched
    from genjax.data.examples import Dataset, Examples, Lazy, Spec, fingerprint, guarded, size, spec_of, take, untrained
    from genjax.data.loading import load
    from genjax.data.one_hot import to_one_hot
    from genjax.data.resize import image_spec
    from genjax.data.sequence_views import cropped, transposed
    from genjax.data.sound import to_wave, varied
    from genjax.data.source import Source, make_source, once, resident, streamed
    from genjax.data.split import hold_out, part
    from genjax.data.stacks import stacked
    from genjax.data.synthetic import Mixture, grid, ring
    from genjax.data.table_coding import parts_of, shares_of, to_parts
    from genjax.data.transforms import (
        Transform,
        as_bits,
        as_reals,
        binarize,
        check_range,
        check_values,
        compose,
        dequantize,
        for_range,
        to_integers,
        to_levels,
        to_plane,
        to_signed,
        to_unit,
    )

_HOME = {
    "augment": ("flip", "shift"),
    "catalogue": ("Prepared", "data_dir_of", "names", "prepared", "survey"),
    "classes": ("class_number", "folder_names", "matched"),
    "loading": ("load",),
    "resize": ("image_spec",),
    "examples": (
        "Dataset", "Examples", "Lazy", "Spec", "fingerprint", "guarded", "size", "spec_of", "take", "untrained",
    ),
    "one_hot": ("to_one_hot",),
    "sound": ("to_wave", "varied"),
    "sequence_views": ("cropped", "transposed"),
    "source": ("Source", "make_source", "once", "resident", "streamed"),
    "split": ("hold_out", "part"),
    "stacks": ("stacked",),
    "synthetic": ("Mixture", "grid", "ring"),
    "table_coding": ("parts_of", "shares_of", "to_parts"),
    "transforms": (
        "Transform", "as_bits", "as_reals", "binarize", "check_range", "check_values", "compose", "dequantize",
        "for_range", "to_integers", "to_levels", "to_plane", "to_signed", "to_unit",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names_ in _HOME.items() for name in names_}

__all__ = [  # noqa: RUF022  (by module)
    "flip", "shift",
    "Prepared", "data_dir_of", "names", "prepared", "survey",
    "class_number", "folder_names", "matched",
    "load",
    "image_spec",
    "Dataset", "Examples", "Lazy", "Spec", "fingerprint", "guarded", "size", "spec_of", "take", "untrained",
    "to_one_hot",
    "to_wave", "varied",
    "cropped", "transposed",
    "Source", "make_source", "once", "resident", "streamed",
    "hold_out", "part",
    "stacked",
    "Mixture", "grid", "ring",
    "parts_of", "shares_of", "to_parts",
    "Transform", "as_bits", "as_reals", "binarize", "check_range", "check_values", "compose", "dequantize", "for_range",
    "to_integers", "to_levels", "to_plane", "to_signed", "to_unit",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'genjax.data' has no attribute {name!r}; it has {', '.join(sorted(__all__))}.")
    return getattr(importlib.import_module(f"genjax.data.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
