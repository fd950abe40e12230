"""The data set of a configuration, and that of a run wherever its data lie now.

Data are known by fingerprint. A path only says where to look first: a run remembers the path as it was typed, the
absolute one, and the way from the run's folder to the data, and tries them in this order.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genjax import data
from genjax.errors import UsageError
from genjax.runs import data_files, run_folder
from genjax.runs.domain import brought, check_domain
from genjax.train.distributed import say_once
from genjax.trust import Access

PARTS = {"fingerprint": "training", "fingerprint_validation": "held-out", "fingerprint_test": "test"}
"""The part of the data that each fingerprint of a `Spec` is of."""


def dataset_of(cfg: Any, data_dir: str | None = None, what: Any = None) -> data.Dataset:
    """What `data`, `image_size`, `validation` and the fields in `reads` of a recipe's `Config` name; it may lack some.

    A domain that the recipe brings reads its data itself.

    Args:
        cfg: the configuration.
        data_dir: the TFDS folder.
        what: the data set in the place of `cfg.data`.

    Raises:
        UsageError: as `data.load` and `data.hold_out`.
    """
    whole = read(cfg, cfg.data if what is None else what, data_dir, getattr(cfg, "image_size", 0) or None)
    return data.hold_out(whole, getattr(cfg, "validation", 0))


def read(
    cfg: Any, what: Any, data_dir: str | None = None, image_size: int | None = None, like: data.Spec | None = None
) -> data.Dataset:
    """Data as a recipe of this configuration reads them; `like` is what a run of it was trained on.

    Raises:
        UsageError: as `data.load`.
    """
    for domain in brought(cfg):
        if domain.read is not None and (found := domain.read(what)) is not None:
            return found
    options = {name: getattr(cfg, name) for name in getattr(cfg, "reads", ())}
    return data.load(what, data_dir=data_dir, image_size=image_size, like=like, options=options)


def dataset_to_train(cfg: Any, data_dir: str | None = None, recipe: str = "") -> data.Dataset:
    """`dataset_of` for a run about to begin: what cannot be read from now on is the run's failure.

    Raises:
        UsageError: as `dataset_of`; or the data are of a kind that the recipe does not take; or the run is conditional,
            and the set has no labels or a class without an example.
    """
    dataset = data.guarded(dataset_of(cfg, data_dir))
    check_domain(dataset.spec, cfg, recipe)
    if not getattr(cfg, "conditional", False):
        return dataset
    if not dataset.spec.n_classes:
        raise UsageError(
            f"conditional=True: {dataset.spec.name} has no labels. Try class folders, or `label` in an .npz."
        )
    if without := data.untrained(dataset):
        raise UsageError(
            f"conditional=True: {dataset.spec.name} has no training example of class {', '.join(without[:5])}, which "
            "would be drawn all the same. Leave its other examples out too, or train without --conditional."
        )
    return dataset


def where(what: Any, data_dir: str | None, run: Path) -> dict[str, str]:
    """Where the data of a run lie, for its `config.json`: absolutely, and from the run's folder."""
    found = {} if data_dir is None else {"data_dir": str(Path(data_dir).expanduser().absolute())}
    if isinstance(what, str | os.PathLike) and (path := Path(what).expanduser()).exists():
        found |= {"data": str(path.resolve()), "from_run": os.path.relpath(path.resolve(), run.resolve())}
    return found


def dataset_of_run(run: Any, access: Access = Access()) -> data.Dataset:
    """The data set of an opened run: the one that it was trained on, or a refusal.

    Another test part than in training is said in a line: numbers measured on it are of that part.

    Args:
        run: from `open_run`.
        access: says where the data lie now; by default they are looked for where they were.

    Raises:
        UsageError: they are nowhere to be found, or are not those that the run was trained on.
    """
    stored = run_folder.read_config(Path(run.path)) or {}
    there, tried = stored.get("where", {}), []
    folder = access.data_dir or there.get("data_dir") or stored.get("options", {}).get("data_dir")
    for at in _places(Path(run.path), run.config.data, there) if access.data is None else [access.data]:
        try:
            dataset = dataset_of(run.config, folder, at)
        except UsageError as e:
            tried.append(str(e))
            continue
        if different := unlike(run.spec, dataset, Path(run.path), at):
            tried.append(f"data={at}: not what the run was trained on: {different}")
            continue
        say_another_test(run.spec.fingerprint_test, dataset, Path(run.path), at)
        return dataset
    lines = [f"RUN={run.path}: its data set {run.spec.name} is not to be had.", *(f"  {line}" for line in tried[:3])]
    raise UsageError("\n".join([*lines, "Say where it lies now: --data PATH (a TFDS folder: --data-dir DIR)."]))


def unlike(trained: data.Spec, found: data.Dataset, run: Path, at: Any) -> str:
    """What of the data that a run is trained on differs, with the files; empty where nothing does."""
    streamed = trained.fingerprint.startswith("sampled-")  # looks at some of the examples alone
    parts = [n for f, n in list(PARTS.items())[:2] if getattr(trained, f) not in ("", getattr(found.spec, f))]
    files = data_files.changed(run, found, at) if parts or streamed else ""
    if not parts and not files:
        return ""
    n = f"{trained.n_train:,} examples then, {found.spec.n_train:,} now"
    return f"the {' and the '.join(parts or ['training'])} part differs ({n}){': ' * bool(files)}{files}"


def refuse_other(run: Path, stored: Mapping[str, Any] | None, found: data.Dataset, at: Any) -> None:
    """Refuse to continue a run on data that lie where its own lay, or are listed as its own, and are not the same.

    Raises:
        UsageError: naming what differs, and the files where they are known.
    """
    typed, known = (stored or {}).get("config", {}).get("data"), (stored or {}).get("data")
    if not known or (typed != at and not (run / data_files.LISTING).exists()):
        return
    if different := unlike(data.spec_of(known), found, run, at):
        raise UsageError(
            f"{run} was trained on other data than data={at}: {different}.\n"
            "Use the run's own data to continue it, or another --run-dir."
        )
    say_another_test(known.get("fingerprint_test", ""), found, run, at)


def as_stored(stored: Mapping[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """`wanted` with the stored spelling of the data where the fingerprints say that they are the same.

    Data are the same wherever they lie and whatever the folder is called; a test part may have come, gone or changed.
    """
    old, new = stored.get("data", {}), wanted["data"]
    if not old.get("fingerprint") or old["fingerprint"] != new["fingerprint"] or "data" not in stored.get("config", {}):
        return wanted
    new = {**new, "name": old.get("name"), **{k: old[k] for k in PARTS if k in old}}
    new = {k: v for k, v in new.items() if k in old}
    return {**wanted, "data": new, "config": {**wanted["config"], "data": stored["config"]["data"]}}


def place(path: Path, stored: Mapping[str, Any]) -> str:
    """Where the data of a run's folder lie: the first place that is there, else as it was typed."""
    found = _places(path, stored["config"]["data"], stored.get("where", {}))
    is_path = "data" in stored.get("where", {})
    return next((p for p in found if is_path and Path(p).expanduser().exists()), found[0])


def _places(path: Path, typed: Any, there: Mapping[str, str]) -> list[Any]:
    """Where a run's data may lie."""
    places = [typed, there.get("data")]
    if "from_run" in there:
        places.append(os.path.normpath(path.resolve() / there["from_run"]))
    return [p for i, p in enumerate(places) if p is not None and p not in places[:i]]


def say_another_test(trained: str, found: data.Dataset, run: Path, at: Any) -> None:
    """Say that the test part, of which training sees nothing, is not what it was; nothing where there was none."""
    if trained and trained != found.spec.fingerprint_test:
        what, files = "another" if found.spec.fingerprint_test else "no", data_files.changed(run, found, at)
        more = f" ({files})" if files else ""
        say_once(f"genjax: data={at}: has {what} test part, unlike when the run was trained{more}.")
