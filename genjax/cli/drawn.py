"""Files of samples: a folder of a file each, an archive with the latents, and latents read from one."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from genjax.errors import UsageError
from genjax.files import FAILING, building, failed_write


class Drawn(NamedTuple):
    """Samples and what they were drawn from."""

    examples: Any
    """`data.Examples`, as they are stored; `y` None for an unconditional run."""
    z: Any
    """the noise: float32 (n, z) latents for most models, else a tree of arrays"""
    n_broken: int = 0
    """How many samples hold NaN or infinity; they are marked in pictures."""


def read_latents(path: str, run: Any) -> tuple[Any, Any]:
    """Latents (n, z) of a file, and labels (n,) where it has them and the run wants some.

    Raises:
        UsageError: it is no such file, or its latents do not fit the run.
    """
    import numpy as np

    if not Path(path).is_file():
        raise UsageError(f"--latents={path}: there is no such file.")
    from genjax.formats import npz

    try:
        if Path(path).suffix.lower() == ".npy":
            z, label = np.load(path, allow_pickle=False), None
        else:
            found, _ = npz.read(path, ("z", "label"))
            z, label = found["z"], found.get("label")
    except KeyError:
        raise UsageError(f"--latents={path}: has no z. `genjax sample --out F.npz` writes files that have.") from None
    except UsageError as e:
        raise UsageError(f"--latents={path}: not a file of latents. {e}") from None
    except OSError as e:
        raise UsageError(f"--latents={path}: cannot be read ({e.strerror or e}).") from None
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as e:
        raise UsageError(f"--latents={path}: not a file of latents ({e}).") from None
    model, n_classes = run.experiment.model, run.experiment.model.n_classes
    like = noise_like(model)
    if len(like) != 1:
        raise UsageError(f"--latents={path}: samples of {run.name} are not made of one array of latents. Use --seed.")
    (shape,) = (v.shape[1:] for v in like.values())
    if z.shape[1:] != shape or not z.ndim or not len(z) or z.dtype.kind not in "fiu":
        want, found = ", ".join(map(str, shape)), f"{z.dtype} {z.shape}"
        raise UsageError(f"--latents={path}: z must be numbers (n, {want}) for {run.name}, not {found}.")
    if not np.isfinite(z).all():
        raise UsageError(f"--latents={path}: z holds values that are not finite.")
    if label is not None and n_classes:
        if label.shape != (len(z),) or label.dtype.kind not in "iu" or label.min() < 0 or label.max() >= n_classes:
            raise UsageError(f"--latents={path}: label must be {len(z)} classes of {run.name}, 0 to {n_classes - 1}.")
        return z.astype(np.float32), label.astype(np.int32)
    return z.astype(np.float32), None


def noise_like(model: Any) -> dict[str, Any]:
    """Shapes of the arrays that two samples of a model are made of, by their names in a tree; one array has none."""
    import jax

    return named_leaves(jax.eval_shape(lambda key: model.noise(key, 2), jax.random.key(0)))


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their path, `noise/which`; that of a single array is empty."""
    import jax

    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {"/".join(["noise", jax.tree_util.keystr(p, simple=True, separator="/")]) if p else "": v for p, v in flat}


def npz(drawn: Drawn, domain: Any, spec: Any, of: dict[str, Any]) -> bytes:
    """An archive of samples, latents and labels, and of what else `of` says of them."""
    import numpy as np

    from genjax.data import archive

    z, examples = {name or "z": v for name, v in named_leaves(drawn.z).items()}, drawn.examples
    about = archive.constants(spec) if domain.stated else {}
    arrays: dict[str, Any] = {domain.array: examples.x, **z, **{k: np.asarray(v) for k, v in (of | about).items()}}
    arrays |= {} if examples.y is None else {"label": examples.y}
    arrays |= {} if examples.event_mask is None else {"event_mask": examples.event_mask}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def write_folder(out: str, examples: Any, domain: Any, spec: Any, how: Any) -> None:
    """A file of each sample, all of them or none: in a folder beside the place first, which then takes it.

    Labelled ones lie in folders of the names of the classes, of their numbers where these are no names of folders.

    Raises:
        UsageError: there can be no such folder.
        RunFailure: the disk is full or fails.
    """
    import numpy as np

    from genjax import data

    target, save = Path(out), domain.save[domain.each]
    names = data.folder_names(spec.classes)
    try:
        with building(target) as made:
            for i in range(len(examples.x)):
                one = data.take(examples, np.array([i]))
                label = None if one.y is None else int(one.y[0])
                where = made if label is None else made / (names[label] if names else str(label))
                where.mkdir(exist_ok=True)
                about = how._replace(about=f"{how.about}, {domain.one} {i}", ncols=1)
                (where / f"{i:06d}{domain.each}").write_bytes(save(one, spec, about))
    except OSError as e:
        if e.errno in FAILING:
            raise failed_write(target, 0, e) from e
        raise UsageError(f"--out={out}: cannot be written ({e.strerror or e}).") from None
