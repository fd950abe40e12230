"""The command line: which command runs, and how its failures become exit codes. Imports neither jax nor tyro.

Exit codes: 0 done; 2 bad usage, configuration or input; 1 a failure of the run itself; 128 + n where signal n stopped
a training run, which was saved (130 Ctrl-C, 143 SIGTERM, 129 SIGHUP). Anything unexpected keeps its traceback, because
it is a bug.

What is said never decides a run (`genjax.channels`): where standard output or error is closed, full or has lost its
reader, a command goes on. A command whose product is files (`train`, `sample`, `score`, `eval`, `compare`, `report`,
`extract`, `demo`) ends with 0 when they are complete. One whose product is what it prints (`list`, `digest`, `results`,
`plan`, `doctor`, `features`, and every `--help`) ends with 0 only when all of it was written: with 141, quietly, where
the reader had left (`| head`), as a command that SIGPIPE ends; else with 1 and a line on standard error.
"""

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from genjax import __version__, channels, collector, progress, recipes
from genjax.errors import RunFailure, UsageError


class Command(NamedTuple):
    """Where a command is: `module.function(argv) -> exit code or None`."""

    module: str
    usage: str
    what: str


COMMANDS = {
    "demo": Command("train", "[--data KIND|SET]", "train a VAE and a GAN on data that ship with genjax, and show both"),
    "train": Command("train", "EXPERIMENT [--FIELD VALUE ...]", "train a recipe, or continue a run of it"),
    "sample": Command("sample", "RUN --out FILE|FOLDER/", "draw samples from a trained run"),
    "score": Command("score", "RUN DATA --out F.csv|F.json", "what a trained run says about given examples"),
    "eval": Command("measure", "RUN [--metrics M,...] [--n N]", "measure a run: numbers with intervals and protocol"),
    "compare": Command("compare", "RUN [RUN ...]", "measured runs side by side, as a table and as a page"),
    "report": Command("use", "RUN [RUN ...]", "one HTML page about a run, or several side by side"),
    "digest": Command("use", "RUN", "SHA-256 of a run's last state: equal digests, equal runs"),
    "extract": Command("use", "RUN --member I --out FOLDER", "make one member of a run of several a run of its own"),
    "plan": Command("plan", "EXPERIMENT [--device D] [--mesh M]", "what a step costs on devices you may not have"),
    "results": Command("results", "[--write]", "the tables of the READMEs, checked against the committed records"),
    "features": Command("features", "[import FILE]", "the feature nets that distances are measured with"),
    "list": Command("show", "[KIND]", "the recipes that ship with genjax, or those for a kind of data"),
    "doctor": Command("show", "[--data-dir FOLDER]", "devices, versions, data sets, disk, and what is missing"),
}

FUNCTIONS = {"list": "list_recipes", "eval": "evaluate"}
"""Functions of commands whose names Python has given away."""

LONG = ("sample", "score", "eval", "report", "compare", "digest", "extract")
"""Commands that show how far they are; training has a line of its own."""
PRINTING = ("digest", "plan", "results", "features", "list", "doctor")
"""Commands whose product is what they print, not files."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code.

    Without `argv` the words are `sys.argv`'s, and what is imported is kept out of the garbage collector's way.
    """
    if argv is None:
        collector.spare_imports()
        argv = sys.argv[1:]
    argv = list(argv)
    os.environ["JAX_ENABLE_X64"] = "0"  # before jax is imported: a run is of 32 bits, whatever else this is set for
    with channels.never_failing() as faults:
        try:
            code = answer(argv)
        except SystemExit as e:  # after a --help
            if faults.stdout is None:
                raise
            code = e.code if isinstance(e.code, int) else 0
        channels.flush()
        if faults.stdout is None or code:
            return code
        return unsaid(faults.stdout, prints(argv))


def answer(argv: list[str]) -> int:
    """The exit code of one command, its failures told in a few lines."""
    try:
        with progress.status_line(argv[0]) if argv and argv[0] in LONG else contextlib.nullcontext():
            return run(argv)
    except UsageError as e:
        return say(e, 2)
    except RunFailure as e:
        return say(e, 1)
    except (KeyboardInterrupt, ImportError) as e:
        if not interrupted(e):
            raise
        return say("interrupted.", 130)


def interrupted(e: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: a compiled module makes an ImportError of one that strikes while it is loaded."""
    return e is not None and (isinstance(e, KeyboardInterrupt) or interrupted(e.__cause__ or e.__context__))


def prints(argv: Sequence[str]) -> bool:
    """Whether what a command prints is its product."""
    return not argv or argv[0] not in COMMANDS or argv[0] in PRINTING or "-h" in argv or "--help" in argv


def unsaid(fault: OSError, product: bool) -> int:
    """The exit code where a command came to its end, but not all that it printed could be written."""
    if fault.errno == errno.EPIPE:  # `genjax list | head`
        return 141 if product else 0
    lost = "not all was printed" if product else "the work is complete, only what was to be printed is lost"
    return say(f"standard output cannot be written ({fault.strerror}): {lost}.", int(product))


def run(argv: list[str]) -> int:
    """Dispatch `argv` to its command.

    Raises:
        UsageError: there is no such command; the nearest are offered.
    """
    if argv[:1] == ["help"] and len(argv) > 1:
        argv = [*argv[1:], "--help"]
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"genjax {__version__} (genjax-vae-gan)")
        return 0
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        near = recipes.nearest(name, list(COMMANDS))
        raise UsageError(f"{name}: there is no such command.{near} `genjax --help` shows all.")
    module = importlib.import_module(f"genjax.cli.{COMMANDS[name].module}")
    return getattr(module, FUNCTIONS.get(name, name))(rest) or 0


def say(message: object, code: int) -> int:
    """Print an error in a few lines on stderr; gives `code` back."""
    channels.flush()
    channels.say(f"genjax: {message}")
    return code


def help_text() -> str:
    """What `genjax --help` prints; on a wide terminal with what each command takes."""
    from genjax.cli import help

    wide = help.width() >= 110
    lines = [(f"{name} {c.usage}".strip() if wide else name, c.what) for name, c in COMMANDS.items()]
    return "\n".join(
        [
            "usage: genjax COMMAND [...]",
            "",
            help.fold_wide_lines("Variational autoencoders and generative adversarial networks in JAX and Flax."),
            "",
            help.rows(lines, 44 if wide else 13),
            "",
            help.fold_wide_lines(
                "`genjax COMMAND --help` says what a command takes. "
                "EXPERIMENT is a recipe's name (`genjax list`) or the path of one. RUN is a run's folder."
            ),
        ]
    )
