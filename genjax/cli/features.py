"""`genjax features`: the feature nets that distances are taken in, and how FID's own comes among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genjax.cli import help
from genjax.cli.flags import flag, parse
from genjax.errors import UsageError


@dataclass(frozen=True)
class Import:
    """Convert a PyTorch weights file of FID's Inception-v3 and keep it. Nothing in the file is executed."""

    file: str = flag(help="pt_inception-2015-12-05-6726825d.pth, see `genjax features`", positional=True)
    allow_unknown: bool = flag(False, help="convert a file of another SHA-256 too; its distances are no FID")


def features(argv: Sequence[str]) -> None:
    """`genjax features`, or `genjax features import FILE [--allow-unknown]`."""
    if argv and argv[0] in ("-h", "--help"):
        print("usage: genjax features\n       genjax features import FILE\n")
        print(
            help.fold_wide_lines(
                "Distances between sets of images are measured in what a feature net makes of them. Without "
                "more words: the nets that are here. With `import FILE`: convert FID's weights."
            )
        )
    elif not argv:
        print("\n".join(lines()))
    elif argv[0] == "import":
        import_weights(argv[1:])
    else:
        raise UsageError(f"features {argv[0]}: there is only `genjax features` and `genjax features import FILE`.")


def import_weights(argv: Sequence[str]) -> None:
    """`genjax features import FILE [--allow-unknown]`."""
    args = parse(Import, argv, "genjax features import")
    from genjax.metrics import inception

    done = inception.import_file(Path(args.file), args.allow_unknown)
    print(f"imported: {done.path}\nSHA-256 of its source: {done.sha256}")
    if not done.known:
        print(f"not the known file ({inception.SHA256}): distances with it are no FID.")


def lines() -> list[str]:
    """A line on each feature net."""
    from genjax.cli.show import table
    from genjax.metrics import inception
    from genjax.metrics.features import SHIPPED, feature_net

    rows = [("net", "takes", "features", "SHA-256", "distances are called")]
    for name, net in SHIPPED.items():
        size = "x".join(map(str, net.shape))
        rows.append((name, size, str(4 * net.width), net.sha256[:8], f"fd_{name}"))
    if not inception.installed().is_file():
        return [table(rows), "", f"inception: not here; {inception.HOW}."]
    net = feature_net("inception")
    called = "fid" if net.sha256 == inception.SHA256 else "fd_inception (unknown weights: no FID)"
    return [table([*rows, ("inception", "any", str(net.n_features), net.sha256[:8], called)])]
