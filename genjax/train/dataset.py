"""The data set that a configuration asks for."""

from pathlib import Path
from typing import Any

from genjax import data
from genjax.errors import UsageError
from genjax.train import record


def dataset_of(cfg: Any, data_dir: str | None = None) -> data.Dataset:
    """What `data`, `image_size` and `validation` of a recipe's `Config` name; it may lack the last two.

    Raises:
        UsageError: as `data.load` and `data.hold_out`.
    """
    whole = data.load(cfg.data, data_dir=data_dir, image_size=getattr(cfg, "image_size", 0) or None)
    return data.hold_out(whole, getattr(cfg, "validation", 0))


def dataset_of_run(run: Any, data_dir: str | None = None) -> data.Dataset:
    """The data set of an opened run.

    Args:
        run: from `open_run`.
        data_dir: the TFDS folder; without it the one that the run was trained from.

    Raises:
        UsageError: it cannot be read, or is not the one that the run was trained on.
    """
    stored = (record.read_config(Path(run.path)) or {}).get("options", {})
    dataset = dataset_of(run.config, data_dir or stored.get("data_dir"))
    if dataset.spec.fingerprint != run.spec.fingerprint:
        raise UsageError(
            f"The data set {run.config.data} is not the one that the run was trained on (their fingerprints differ)."
        )
    return dataset
