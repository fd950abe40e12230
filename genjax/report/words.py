"""What each metric means and how to read its curve, and what the pictures show, in words."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from genjax.metrics_log import last_part, plain_names


class Chart(NamedTuple):
    """A chart: the metrics it draws, of those that the run has, its title, and how to read it."""

    keys: tuple[str, ...]
    title: str
    text: str


VAE = (
    Chart(
        ("elbo",),
        "Evidence lower bound",
        "A lower bound on the log-probability the model gives an image, in nats per image: minus distortion minus "
        "rate. Higher is better. Its level depends on the likelihood, so compare only runs that share one.",
    ),
    Chart(
        ("distortion",),
        "Distortion",
        "What it costs to describe an image once its code is known, −log p(x | z), in nats. It falls as "
        "reconstructions get closer; it may be negative for likelihoods that are densities.",
    ),
    Chart(
        ("rate",),
        "Rate",
        "How much the code says about the image, KL(q(z | x) ‖ p(z)), in nats. Near zero the decoder ignores the code "
        "(posterior collapse); it usually rises first, as the code becomes useful, and then settles.",
    ),
    Chart(
        ("loss",),
        "Training loss",
        "What the optimiser descends: distortion plus β times rate, with warm-up and free bits where they are "
        "used. With β = 1 and neither of them it is minus the evidence lower bound.",
    ),
    Chart(("beta",), "β in force", "The weight of the rate in the loss. It grows during warm-up, then stays."),
    Chart(
        ("grad_norm",),
        "Gradient norm",
        "The length of the whole gradient before clipping. Steady or slowly falling is healthy; spikes mark unusual "
        "batches or a learning rate at its limit.",
    ),
)
GAN = (
    Chart(
        ("d/loss",),
        "Discriminator loss",
        "How badly the discriminator tells real from generated images, penalties included. It measures a contest, not "
        "quality: close to zero the discriminator wins outright; a plateau means the two keep pace.",
    ),
    Chart(
        ("g/loss",),
        "Generator loss",
        "How badly the generator fools the discriminator of the same moment. It need not fall: it rises when the "
        "discriminator learns faster, even while the samples improve. Judge the samples, not this line.",
    ),
    Chart(
        ("d/penalty",),
        "Penalties",
        "What the discriminator pays besides telling real from generated, weights included and all penalties together: "
        "with a gradient penalty, how steep it is at the images. Large and growing values say that they hold the "
        "discriminator back; values near zero say that they are hardly needed.",
    ),
    Chart(
        ("d/grad_norm", "g/grad_norm"),
        "Gradient norms",
        "The length of each player's gradient before clipping. Both should stay within a few powers of ten of each "
        "other; one that vanishes has stopped learning, one that explodes is about to diverge.",
    ),
)
NORMS = tuple(
    Chart(tuple(f"{p}{key}" for p in prefixes), title, text)
    for prefixes in (("",), ("d/", "g/"))
    for key, title, text in (
        ("update_norm", "Update norm", "The length of the step that the optimiser takes, learning rate included."),
        ("param_norm", "Parameter norm", "The length of all parameters together."),
    )
)
SPEED = Chart(("examples_per_s",), "Examples per second", "Training speed on this machine, compilation included.")
_SHARED = {
    "skipped": "Share of updates that the guard against non-finite or spiking gradients left out; zero is best.",
    "grad_norm": "The length of the gradient before clipping.",
    "loss": "What this move's optimiser descends.",
    "penalty": "What is added to the loss besides its main terms, with its weight: a codebook's commitment, say.",
    "total_correlation": "How far the latents are from being independent, as the critic estimates it, in nats; near "
    "zero they are, or the critic is too weak to tell.",
    "accuracy": "Share of a batch that is told right, 0 to 1; a critic that cannot tell is right half of the time.",
    "ada_p": "The probability of each augmentation. It rises while the discriminator is too sure of the training "
    "images; at 0.8, where it stops, it has learnt them by heart.",
    "bound": "What training maximises: the log of the average of k importance weights, in nats. It lies between the "
    "evidence lower bound and the likelihood, and rises with k.",
    "ess": "How many of the k samples count: the effective sample size of the importance weights, from 1 to k.",
    "condition": "How badly the generator gives the category that it was asked for: a cross-entropy in nats.",
    "lecam_real": "The running mean of the discriminator's outputs on real images, which LeCam compares with.",
    "lecam_fake": "The running mean of the discriminator's outputs on generated images, which LeCam compares with.",
}
UNKNOWN = "A metric of this recipe."
"""The caption of a metric that has none of its own."""
_OWN = {"step", "seconds", "failed", "d/real_probability", "d/fake_probability", "d/real_logit", "d/fake_logit"}


def charts(rows: Mapping[str, np.ndarray]) -> list[Chart]:
    """The charts for what a run has logged: the known ones first, then every other metric, speed last.

    A metric is known by its name in a plain run (`plain_names`), or by the last part of it: of several players each has
    charts of its own.
    """
    named = {plain: name for name, plain in plain_names(rows).items()}
    found = _charts({plain: rows[name] for plain, name in named.items()})
    keys = [tuple(named[k] for k in c.keys) for c in found]
    return [
        c._replace(keys=k, title=k[0] if c.title == c.keys[0] else c.title) for c, k in zip(found, keys, strict=True)
    ]


def _charts(rows: Mapping[str, np.ndarray]) -> list[Chart]:
    """Likewise, of rows with plain names."""
    named = {k for c in (*VAE, *GAN, *NORMS) for k in c.keys}
    owners = {n.rpartition("/")[0] for n in rows if n not in named and n not in _OWN and "/" in n}
    owners = sorted(owners, key=lambda o: (f"{o}/elbo" not in rows, o))
    known = [c._replace(keys=tuple(k for k in c.keys if k in rows)) for c in (*VAE, *GAN, *NORMS)]
    known = known if "beta" in rows else [_plain(c) for c in known]  # only beta_vae's loss is that of the caption
    for owner in owners:
        of_one = [c for c in (*VAE, *NORMS) if len(c.keys) == 1 and "/" not in c.keys[0]]
        of_one = of_one if f"{owner}/beta" in rows else [_plain(c) for c in of_one]
        mine = [c._replace(keys=(f"{owner}/{c.keys[0]}",), title=f"{c.title}, {owner}") for c in of_one]
        known += [c for c in mine if c.keys[0] in rows and c.keys[0] not in named]
    known = [c for c in known if c.keys and not _constant_beta(c, rows)]
    used = _OWN | {k for c in known for k in c.keys} | {"examples_per_s"} | {n for n in rows if last_part(n) == "beta"}
    rest = sorted(set(rows) - used)
    others = [Chart((k,), k, _SHARED.get(last_part(k), UNKNOWN)) for k in rest]
    return known + others + ([SPEED] if "examples_per_s" in rows else [])


def _plain(chart: Chart) -> Chart:
    """The chart of a move whose loss is not D + beta R."""
    return chart._replace(text=_SHARED["loss"]) if chart.keys == ("loss",) else chart


def _constant_beta(chart: Chart, rows: Mapping[str, np.ndarray]) -> bool:
    return last_part(chart.keys[0]) == "beta" and len(set(np.asarray(rows[chart.keys[0]], float).ravel().tolist())) == 1


MEASURED = (
    "What genjax eval wrote. ± is the half-width of the 95 % interval over what was measured, N images. The floor is "
    "the same metric of as many real images in the place of the generated ones: a number near it cannot get better. ↑ "
    "higher is better, ↓ lower, ≈ nearest to the floor: beyond it a number is no better, and one image again and again "
    "may have the greatest density or precision, so read these beside recall and coverage. The whole protocol of each "
    "number is in eval.json."
)
ORDER = ("elbo", "rate", "distortion", "bpd", "nll", "fd", "kd", "precision", "recall", "density", "coverage")
"""Metrics of a table, those that are not among them last."""


def rank(metric: str) -> tuple[int, str]:
    """Where a metric stands in a table.

    Example:
        >>> sorted(["recall", "fd_mnist", "nll_ess", "nll", "zeal"], key=rank)
        ['nll', 'nll_ess', 'fd_mnist', 'recall', 'zeal']
    """
    stem = metric.split("_")[0]
    return (ORDER.index(stem) if stem in ORDER else len(ORDER)), metric


VALIDATION = (
    "At most 1,000 training images were held out and never trained on; the model was evaluated on them during training."
)
_HELD_OUT = (
    Chart(
        ("val/elbo",),
        "Evidence lower bound",
        "Of held-out images, in nats per image. Where it falls while that of training rises, the model is learning its "
        "training images by heart: stop there, or make it smaller.",
    ),
    Chart(("val/rate",), "Rate", "What the code says about a held-out image, in nats."),
    Chart(("val/distortion",), "Distortion", "What a held-out image costs once its code is known, in nats."),
)


def validation(rows: Mapping[str, np.ndarray]) -> list[Chart]:
    """The charts of the evaluations on held-out images."""
    known = [c for c in _HELD_OUT if c.keys[0] in rows]
    spaces = [k for k in rows if k.startswith("val/kd_")]
    text = "Kernel distance of generated images to held-out ones in the space of {}, unbiased: near 0 is best."
    known += [Chart((k,), "Kernel distance", text.format(k.removeprefix("val/kd_"))) for k in spaces]
    used = {k for c in known for k in c.keys} | {"step"}
    return known + [Chart((k,), k, UNKNOWN) for k in sorted(set(rows) - used)]


def best_of(step: int, by: str, several: bool = False) -> str:
    """What is marked in the charts, in a sentence."""
    how, _, metric = by.partition(":")
    which, of = "highest" if how == "max" else "lowest", ", the mean over members" if several else ""
    return f" Marked is step {step:,}, whose checkpoint is kept as the best: it has the {which} {metric}{of}."


def stale(measured: int, now: int | None) -> str:
    """That the run has gone on since it was measured."""
    at = "none" if now is None else f"of step {now:,}"
    return f"Measured at step {measured:,}; the last checkpoint is now {at}. `genjax eval` measures it again."


def neighbours(searched: Mapping[str, int], total: int, ratio: float | None, compared: str = "pixels") -> str:
    """How to read samples beside their nearest training images.

    Args:
        searched: how many training images were searched in which space.
        total: how many there are.
        ratio: median distance of generated images to the nearest over that of held-out ones, in what is `compared`.
        compared: what tells them apart, in words.
    """
    said = (
        "Generated images, not chosen, and below each the training image nearest to it. Two that are the same image "
        "mean that the model repeats its training set; another image of the same kind is as it should be."
    )
    if ratio is not None:
        said += (
            f" In {compared} a generated image is {ratio:.2f} times as far from its nearest training image as a real "
            "one that training never saw (medians). Near 0 are copies, well above 1 images unlike the data; averages "
            "of several images (blur) lie below 1."
        )
    part = " and ".join(f"{n:,} in {space}" for space, n in searched.items() if n < total)
    return said + (f" Of {total:,} training images, evenly spaced ones were searched: {part}." if part else "")


DISCRIMINATOR = (
    "A discriminator gives each image a number: how real it looks to it. The game is even where real and generated "
    "images get the same."
)
PROBABILITY = (
    "The probability of being real that the discriminator gives to real and to generated images during training. "
    "Far apart, it tells them apart with ease and the generator has little to go by; where the two lines meet at "
    "one half (dashed), it can no longer tell. Most healthy runs stay in between."
)
LOGIT = (
    "This loss defines no probability, so here are the discriminator's raw outputs for real and generated images "
    "during training. What counts is their distance: the further apart, the better it tells them apart."
)
HISTOGRAM = (
    "The discriminator's output now, for training images, for held-out test images and for generated ones. Where "
    "the shapes overlap it cannot tell. Test images that look more like the generated than like the training ones mean "
    "that the discriminator has learnt its training images by heart."
)
HISTOGRAM_NO_DATA = "The discriminator's output on generated images now; the real ones could not be loaded."
HISTOGRAM_NO_TEST = (
    "The discriminator's output now, for training images and for generated ones. Where the two shapes overlap it "
    "cannot tell them apart."
)
BLUR = (
    "A VAE is asked to give probability to every training image. Where the code leaves a detail open, the best single "
    "guess for independent pixels is the average of all that could be there, and an average of sharp images is a soft "
    "one. What is shown is that average, the mean of the decoder. In return the family is made to cover the whole data "
    "set, gives every image a code and a bound on its probability, and trains without a contest."
)
SHARP = (
    "A GAN's generator never has to reproduce a given image; it only has to make images that the discriminator takes "
    "for real ones. An average of several possible images is easy to tell from a photograph, so it tends to commit to "
    "one, with sharp edges. In return nothing asks it to cover every kind of image (it may make a few again and "
    "again), it gives no probability, and its two losses say little about quality."
)
CLASSES = (
    "One line for each label. A column shares its latent: what stays the same down a column is style, what changes is "
    "the class."
)
ARCS = (
    "Arcs between two latents drawn from the prior, which keep the length that samples of the prior have. A smooth "
    "change through plausible images speaks for a generator that has not learnt single images by heart."
)


def reconstructions(held_out: bool, shown: str = "the mean of the decoder") -> str:
    """What stands below each image: `shown`, as the likelihood says it."""
    which = "Test images, which training never saw," if held_out else "Training images (the set has no test part)"
    return f"{which} and {shown} at the mean of their code. What is missing below is what the code does not carry."


def plane(conditional: bool) -> str:
    return (
        "The whole latent plane, each image the decoder's at one point: the points divide the prior into cells of "
        "equal probability, so each is equally likely to be drawn. Left to right is z₁, bottom to top z₂."
    ) + (" Shown is class 0." if conditional else "")


def traversals(encoded: bool) -> str:
    held = (
        "code of one image; the dimensions that say most, and beside each how much it says in nats per image."
        if encoded
        else "origin."
    )
    return (
        f"One latent dimension moved from −3 to 3 standard deviations of the prior, the others held at the {held} A "
        "dimension that changes nothing is not used."
    )


def interpolations(encoded: bool, conditional: bool) -> str:
    ends = (
        "The codes of two real images, and the decoder's images on the straight line between them"
        if encoded
        else "Straight lines between two latents drawn from the prior"
    )
    label = ", all as the class of the first" if conditional else ""
    return f"{ends}{label}. Every image on the way should be a plausible one."
