"""Commands that train: `train` and `demo`."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from genjax import memory, recipes
from genjax.cli import cache, continuing, help
from genjax.cli.flags import flag, parse, parse_all
from genjax.errors import UsageError

DEMO: dict[str, dict[str, dict[str, Any]]] = {
    "image": {
        "vae_digits": {"data": "fashion_mini", "steps": 2500, "batch_size": 128, "z_dim": 8, "hidden": 512},
        "gan_fashion_mnist": {"data": "fashion_mini", "steps": 5500},
    },
    "digits": {"vae_digits": {}, "gan_digits": {}},
    "music": {
        "vae_music": {"batch_size": 16, "window": 32, "width": 64, "z_dim": 32, "steps": 1600, "decay": 1600},
        "gan_music": {"width": 64, "steps": 1200},
    },
    "speech": {
        "vae_speech": {"steps": 300, "batch_size": 16, "width": 8, "z_dim": 32, "warm_up": 200},
        "gan_speech": {"steps": 120, "batch_size": 16, "width": 16, "critic": 8},
    },
    "prose": {
        "vae_prose": {"batch_size": 32, "steps": 900, "warm_up": 300},
        "gan_prose": {"width": 32, "steps": 250},
    },
    "table": {"vae_table": {}, "gan_table": {"steps": 2500}},
}
"""Recipes of the demo and what it changes in them, by kind of data (and another set of images): both together
take two minutes to two and a half on two cores, start-up, compilation and page included; of images about six."""
SAME = {"fashion_mini": "image", "images": "image"}
"""Other words for them."""


@dataclass(frozen=True)
class Several:
    """Several runs as one program."""

    seeds: int = flag(1, help="train so many seeds as one program, from --seed on")
    sweep: str = flag(
        "", help="FIELD=VALUE,VALUE[;FIELD=...]: a grid over sweepable fields as one program, for every seed"
    )


def train(argv: Sequence[str]) -> int:
    """`genjax train EXPERIMENT [--FIELD VALUE ...]`: flags are the recipe's `Config` and `runs.Options`, flat.

    EXPERIMENT may be a run's folder: then the flags are what the run has, and those given.
    """
    if not argv or argv[0].startswith("-"):
        if argv and argv[0] in ("-h", "--help"):
            print(_help())
            return 0
        raise UsageError("train: name an experiment first: genjax train EXPERIMENT [--FIELD VALUE ...].")
    if not (is_continued := continuing.is_run(argv[0])):
        recipes.find(argv[0])  # an unknown name answers before jax is imported
    memory.keep()
    from genjax.runs import Options, members_of
    from genjax.train import distributed, mesh

    words = argv[1:]
    if is_continued:
        recipe, words = continuing.opened(argv[0], words)
    else:
        recipe = recipes.load(argv[0])
    prog = f"genjax train {argv[0]}"
    flags, titles = (
        [recipe.Config, Several, Options],
        [f"the recipe's own ({argv[0]})", "several runs at once", "the run"],
    )
    cfg, several, options = parse_all(flags, _one_sweep(words), prog, recipe.__doc__ or "", titles)
    members = members_of(cfg, several.seeds, several.sweep)
    with distributed.session(options.coordinator, options.num_processes, options.process_id):
        mesh.use_cores(options.mesh)
        return start(recipe, cfg, options, members)


def start(recipe: ModuleType, cfg: Any, options: Any, members: Any = None) -> int:
    """Train, with the compile cache as `options` say. The run's exit code."""
    from genjax import runs

    cache.enable(getattr(options, "compile_cache", True))
    return runs.run(recipe.__file__ or "", recipe.build, cfg, options, members)


def _one_sweep(argv: Sequence[str]) -> list[str]:
    """Several `--sweep FIELD=VALUES` as one, with semicolons."""
    rest, sweeps, words = [], [], list(argv)
    while words:
        word = words.pop(0)
        if word == "--sweep" and words:
            sweeps.append(words.pop(0))
        elif word.startswith("--sweep="):
            sweeps.append(word.removeprefix("--sweep="))
        else:
            rest.append(word)
    return [*rest, *(["--sweep", ";".join(sweeps)] if sweeps else [])]


@dataclass(frozen=True)
class Demo:
    """Train a VAE and a GAN on data that ship with genjax, and write one page that shows both."""

    data: str = flag("image", help=f"what kind of data: {', '.join(DEMO)}")
    run_dir: str = flag("runs/demo", help="folder of the two runs and the report")


def demo(argv: Sequence[str]) -> int:
    """`genjax demo`: both runs (continued or skipped where they are there already), then the report.

    Runs there of other code or another data set are set aside, so that the page shows what is here now.
    """
    args = parse(Demo, argv, "genjax demo")
    kind = SAME.get(args.data, args.data)
    if kind not in DEMO:
        near = recipes.nearest(args.data, [*DEMO, *SAME])
        raise UsageError(f"--data={args.data}: there is no such demo.{near} There are {', '.join(DEMO)}.")
    memory.keep()
    from genjax import report
    from genjax.runs import Options
    from genjax.runs.ownership import refuse_foreign_page, refuse_other_than

    folder, made = Path(args.run_dir), []
    refuse_other_than(folder, [*(name for each in DEMO.values() for name in each), "report.html"])
    refuse_foreign_page(folder / "report.html")
    for name, changes in DEMO[kind].items():
        recipe = recipes.load(name)
        run = folder / name
        flags = (f"--{field.replace('_', '-')} {value}" for field, value in changes.items())
        print(" ".join(["genjax train", name, *flags]))
        set_aside_another(run, recipe, recipe.Config(**changes))
        code = start(recipe, recipe.Config(**changes), Options(run_dir=str(run), log_every=50, sample_every=100))
        if code:
            return code
        made.append(str(run))
    page = folder / "report.html"
    report.write(made, page)
    print(f"\nOpen {page.resolve().as_uri()}")
    return 0


def set_aside_another(run: Path, recipe: ModuleType, cfg: Any) -> None:
    """Rename the demo's folder of a run that other code or another configuration made: `vae_digits-1` and so on."""
    from genjax import sources
    from genjax.runs import run_folder

    stored = run_folder.read_config(run)
    if stored is None:
        return
    known = stored.get("code") or {"recipe": {}, "genjax": ""}
    why = sources.changes(known["recipe"], recipe.SOURCES.hashes())
    why += ["genjax has changed"] if known["genjax"] != sources.genjax_sha256() else []
    why += ["its settings differ"] if stored["config"] != run_folder.to_json(dataclasses.asdict(cfg)) else []
    if why:
        aside = next(p for i in range(1, 10_000) if not (p := run.with_name(f"{run.name}-{i}")).exists())
        run.rename(aside)
        print(f"{run} was made otherwise ({', '.join(why)}): set aside as {aside.name}, and trained again.")


def _help() -> str:
    return "\n\n".join(
        [
            "usage: genjax train EXPERIMENT [--FIELD VALUE ...] [--run-dir FOLDER]",
            help.fold_wide_lines("Train a recipe: one that ships with genjax, or a file of your own (./my_vae.py)."),
            help.recipes_text(),
            help.fold_wide_lines(
                "`genjax train EXPERIMENT --help` shows what a recipe is and lists its flags with their defaults. "
                "Without --run-dir the run gets a new folder under runs/. On the folder of an unfinished run of the "
                "same configuration, training goes on where it stopped."
            ),
            help.fold_wide_lines(
                "--seeds N trains N seeds, --sweep FIELD=VALUE,VALUE one run for each value, all as one program "
                "and in one folder."
            ),
        ]
    )
