"""What is wrong, from numbers: pure functions of what was measured, each threshold with its reason.

A condition looks at one measurement; `judge` asks that it held in each of the last few, for training is noisy.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from genjax.domains.contract import Words
from genjax.health.diversity import Compared
from genjax.health.finding import Finding

SETTLED = 300
"""Steps before which nothing but numbers that are not finite is judged: a fresh model's rates, logits, samples and
update ratios say nothing yet (Adam's first steps are as long as its learning rate, whatever the gradient)."""
HOLD = {"rows": 3, "probe": 2, "pictures": 2, "steps": 1}
"""Measurements in a row in which a condition must hold to be told, and be gone to be over. Rows are means over an
interval and come often; a probe and a grid are dear, and rare. What is not finite is told at once, and so is a finding
that one measurement makes sure."""

RATE_FLOOR = 0.1
"""Nats: a code tells apart at most exp(rate) examples on average, here 1.1."""
ACTIVE = 0.01
"""Variance over examples of a latent dimension's mean from which it is active: Burda, Grosse & Salakhutdinov 2016,
Importance Weighted Autoencoders, whose histogram of variances has its valley there."""
FEW_ACTIVE = 0.1
"""Share of active dimensions below which most of the latent space is idle. Published VAEs on MNIST use 0.4 of 50."""
LOGIT_LIMIT = {True: 100.0, False: 1e4}
"""Mean logit, where it is a log-odds and where it is a critic's free scale. A float32 sigmoid is exactly 1 from 17 on;
a critic's output at 1e4 carries an absolute rounding error of 1e-3, the size of the differences it is to tell."""
FLAT = 1e-4
"""Distance of real from generated logits, and their standard deviation over examples, below which a discriminator gives
one answer to all. Rows average thousands of logits, whose noise alone is near 1e-2."""
WON = 0.02
"""Nats (or units of a hinge) of the discriminator's own loss, without penalties, below which it is right almost
surely: probabilities of 0.99 and 0.01."""
OVERFIT = 0.5
"""Where held-out examples stand between training ones (0) and generated ones (1): from here on nearer to the fakes.
Karras et al. 2020, Training Generative Adversarial Networks with Limited Data, name this share r_v."""
SURE = 4.0
"""Standard errors that differences of mean logits must have to count."""
DEAD = 0.5
"""Share of a layer's units without any gradient. ReLU nets lose some; half a layer is capacity paid and not used."""
GRADIENT_FLOOR = 1e-7
"""Norm of a whole gradient below which Adam's eps (1e-8, per element) begins to swallow it."""
RATIO = (1e-7, 0.1)
"""Length of an update over that of the parameters. Usual is 1e-3; 0.1 replaces the network within ten steps, and 1e-7
is float32's rounding: the sum does not change."""
SKIPPED = 0.05
"""Share of updates that a guard skipped: beyond it the guard is no longer for rare spikes."""
LEVELS = {
    "spread": (0.2, 0.35), "distinct": (0.25, 0.35), "nearest": (0.1, 0.25), "within": (0.15, 0.3),
    "kinds": (0.5, 0.75), "classes": (0.5, 0.75),
}  # fmt: skip
"""Each statistic of `diversity.measure` over that of real grids: below the first number one grid is enough, below the
second two in a row must agree; and no real grid of 200 may be nearly as low. Of 6,000 grids of held-out images, 9 to 64
each, one was found below, and by the second number.

Of healthy runs from step 300 on the young VAE on digits is lowest: spread 0.48, distinct 0.43, nearest 0.48 and within
0.39. Collapsed: one image has at most 0.03 of distinct images, an image a class 0.16, and 0 within classes; of half the
modes of digits or a ring there are 0.5 to 0.65 of the classes.

Of kinds and classes alone a young model has as few as 0.64 (a VAE on Fashion-MNIST), for its samples lie between them;
but these are farther from each other than real images are, and of samples far from the data shares say nothing. So of
images these two count only where samples are near the data and nearer to each other than real ones are."""
SHARES = {"kinds", "classes"}
YOUNG = 1000
"""Steps before which one grid is not enough, unless an earlier one says that variety does not grow."""
GROWING, APART = 0.3, 1.1
"""Power of the step by which the variety of a young model grows at least, and the ratio of steps it is measured over. A
VAE on digits has 1 at step 300; a collapsed one has 0 or less."""
FAR, BEYOND = 1.5, 0.5
"""Median distance of samples to the nearest real one over that of other real ones, and the share of samples that
are farther than any of these. Grids of healthy recipes have 0.9 to 1.4 and at most 0.2 (a large net's first hundreds of
steps on MNIST 1.3 and 0.45), uniform noise 1.8 to 2.5 and 1, a GAN at a hundred times its learning rate 1.8 to 2 and
0.8 to 1."""

Values = Mapping[str, Any]
IMAGES = Words("image", "images")
"""What examples are called where nobody says."""
FREE_BITS = "a smaller beta, a warm-up of beta (warm_up=...), free_bits=0.1, or a weaker decoder"
SLOWER = "a smaller learning rate or clip=1.0 on the move"


def judge(history: Sequence[Sequence[Finding]], hold: int) -> list[Finding]:
    """The newest measurement's findings that are sure, and those that each of the last `hold` measurements has.

    Args:
        history: of each measurement, oldest first, what its conditions found.
        hold: how many must agree.
    """
    recent = [{(f.code, f.where) for f in found} for found in history[-hold:]]
    agree = len(recent) == hold
    return [f for f in history[-1] if f.sure or (agree and all((f.code, f.where) in keys for keys in recent))]


def of_row(row: Values, words: Words = IMAGES) -> list[Finding]:
    """Conditions on a logged row of one run: metrics by name, each the mean of an interval."""
    if row["step"] < SETTLED:
        return []
    found = []
    for name, value in row.items():
        prefix, _, metric = name.rpartition("/")
        prefix = f"{prefix}/" if prefix else ""
        if metric == "rate" and value < RATE_FLOOR:
            found.append(_idle_code(name, value, row.get(f"{prefix}beta", math.nan), words))
        elif metric == "real_logit":
            found += _logits(row, prefix, words)
        elif metric == "skipped" and value > SKIPPED:
            says = f"{value:.0%} of the updates of {name.removesuffix('/skipped')} were skipped by its guard."
            found.append(Finding("updates_skipped", "warning", name, value, says, SLOWER))
        elif metric == "grad_norm" and value < GRADIENT_FLOOR:
            says = f"{name} is {value:.1e}: hardly any gradient arrives, so nothing is learnt any more."
            advice = "another loss (nonsaturating for minimax), a slower or smaller discriminator, or a shallower net"
            found.append(Finding("gradient_vanishes", "serious", name, value, says, advice))
        elif metric == "update_norm" and row.get(f"{prefix}param_norm"):
            found += _ratio(prefix, value / row[f"{prefix}param_norm"])
    return found


def _idle_code(name: str, rate: float, beta: float, words: Words) -> Finding:
    weight = f", at beta={beta:g}" if math.isfinite(beta) else ""
    says = (
        f"Posterior collapse: the code says {max(rate, 0.0):.2g} nats about {words.a} ({name}{weight}), so the decoder "
        f"ignores it and makes the same {words.one} of every code."
    )
    return Finding("posterior_collapse", "serious", name, rate, says, FREE_BITS)


def _ratio(prefix: str, ratio: float) -> list[Finding]:
    least, most = RATIO
    where = f"{prefix}update_norm"
    who = f"The update of {prefix.removesuffix('/')}" if prefix else "An update"
    if ratio > most:
        says = f"{who} is {ratio:.2g} times as long as the parameters (usual: 0.001): they are replaced, not improved."
        return [Finding("updates_too_large", "warning", where, ratio, says, "a learning rate ten times smaller")]
    if ratio < least:
        says = f"{who} is {ratio:.1e} times as long as the parameters (usual: 0.001): rounding swallows it."
        advice = "a larger learning rate, or end here if a schedule has brought it to zero"
        return [Finding("updates_too_small", "warning", where, ratio, says, advice)]
    return []


def _logits(row: Values, prefix: str, words: Words) -> list[Finding]:
    """Findings about a discriminator's move: logits that explode or vanish, and a game that is won."""
    real, fake = row[f"{prefix}real_logit"], row.get(f"{prefix}fake_logit", math.nan)
    log_odds, found = f"{prefix}real_probability" in row, []
    most = max(abs(real), abs(fake))
    if most > LOGIT_LIMIT[log_odds]:
        says = f"The discriminator's logits explode: {real:.3g} for real {words.many}, {fake:.3g} for generated ones."
        advice = "a gradient penalty (r1) or a larger weight of it, spectral norm, or a smaller learning rate of d"
        found.append(Finding("logits_explode", "serious", f"{prefix}real_logit", most, says, advice))
    if abs(real - fake) < FLAT:
        found.append(_flat(f"{prefix}real_logit", abs(real - fake), "on average", words))
    own = row.get(f"{prefix}loss", math.nan) - row.get(f"{prefix}penalty", 0.0)
    if 0.0 <= own < WON:  # a Wasserstein loss is below zero while the critic leads
        says = (
            f"The discriminator has won: its loss without penalties is {own:.2g}, it tells every generated {words.one}"
            ", and the generator has little to go by."
        )
        advice = "a larger weight of the penalty, a smaller learning rate of d, or a larger generator"
        found.append(Finding("discriminator_wins", "warning", f"{prefix}loss", own, says, advice))
    return found


def _flat(where: str, value: float, how: str, words: Words) -> Finding:
    says = (
        f"The discriminator's logits vanish: real and generated {words.many} get the same {how} (difference "
        f"{value:.1e}), so the generator is told nothing."
    )
    advice = "a smaller weight of the penalty, a larger learning rate of d, or a larger discriminator"
    return Finding("logits_vanish", "serious", where, value, says, advice)


def of_probe(values: Values, leaves: Sequence[str] = (), words: Words = IMAGES) -> list[Finding]:
    """Conditions on a probe's numbers: those of `probes.vae` or `probes.gan`, and the dead units of `leaves`."""
    found = []
    if "active" in values:
        found += _latents(np.asarray(values["active"]), np.asarray(values["rate"]), words)
    if "train_logit" in values:
        found += _discriminator(values, words)
    for name, share in zip(leaves, np.asarray(values.get("dead", ())), strict=True):
        if share >= DEAD:
            serious = share >= 0.95
            says = f"Dead units: {share:.0%} of the units at {name} have no gradient on any {words.one} looked at."
            advice = "a smaller learning rate, leaky ReLU, or another initialisation of that layer"
            found.append(Finding("dead_units", "serious" if serious else "warning", name, float(share), says, advice))
    return found


def _latents(variance: np.ndarray, rate: np.ndarray, words: Words) -> list[Finding]:
    """Findings about a VAE's latent dimensions, from the variances of their means and the nats of each."""
    active, z = int((variance > ACTIVE).sum()), len(variance)
    if active >= FEW_ACTIVE * z:
        return []
    says = (
        f"Posterior collapse: {active} of {z} latent dimensions are active (variance of their mean over {words.many} "
        f"above {ACTIVE:g})."
    )
    if len(rate) == z:  # else the prior is one of all dimensions together
        top = ", ".join(f"z{d + 1} {rate[d]:.2g}" for d in np.argsort(-rate)[:3])
        says += f" Those that say most, in nats per {words.one}: {top}."
    severity = "warning" if active else "serious"
    return [Finding("posterior_collapse", severity, "latents", active, says, FREE_BITS)]


def _discriminator(v: Values, words: Words) -> list[Finding]:
    """Findings about a discriminator, from its mean logits of training, held-out and generated examples."""
    train, fake, sd = (float(v[k]) for k in ("train_logit", "fake_logit", "logit_sd"))
    found, lead = [], train - fake
    if sd < FLAT and abs(lead) < FLAT:
        found.append(_flat("logits", abs(lead), "one by one", words))
    if "held_logit" not in v:
        return found
    gap, error = train - float(v["held_logit"]), float(v["standard_error"])
    if gap > SURE * error and lead > SURE * error and gap > OVERFIT * lead:
        says = (
            f"The discriminator overfits: held-out {words.many} get {gap:.2g} less than training ones, "
            f"{gap / lead:.0%} of the way to generated ones ({lead:.2g} less). It knows its training "
            f"{words.many} by heart."
        )
        advice = "more data or augmentation, a larger weight of the penalty, a smaller discriminator, or stop earlier"
        found.append(Finding("discriminator_overfits", "warning", "held-out gap", gap / lead, says, advice))
    return found


def of_pictures(
    step: int, away: Values, diversity: Mapping[str, Compared], before: Sequence[tuple[int, float]] = (),
    words: Words = IMAGES,
) -> list[Finding]:  # fmt: skip
    """Conditions on a grid of samples.

    Args:
        step: the grid's.
        away: `nearness.measure` of it.
        diversity: `diversity.measure` of it.
        before: steps of earlier grids and their `variety`, oldest first. A model whose variety grows is young and not
            collapsed; one grid is enough where it is known not to.
        words: what examples are called.
    """
    if step < SETTLED:
        return []
    alike, growth = _alike(diversity, away["far"], words), trend(step, variety(diversity), before)
    if growth is None and step < YOUNG:
        alike = [f._replace(sure=False) for f in alike]
    return [*(alike if growth is None or growth < GROWING else []), *_away(away, words)]


def variety(diversity: Mapping[str, Compared]) -> float:
    """A grid's variety in a number, over that of real grids; NaN where it was not to be had."""
    return next((diversity[k].ratio for k in ("distinct", "spread") if k in diversity), math.nan)


def trend(step: int, now: float, before: Sequence[tuple[int, float]]) -> float | None:
    """The power of the step by which variety grows since the newest grid that is older by `APART`; None without one.

    Example:
        >>> trend(400, 0.4, [(100, 0.1), (200, 0.2), (390, 0.39)])
        1.0
    """
    old = next(((s, v) for s, v in reversed(before) if 0 < s * APART <= step and v > 0), None)
    if old is None or not now > 0:
        return None
    return math.log(now / old[1]) / math.log(step / old[0])


def _away(values: Values, words: Words) -> list[Finding]:
    far, beyond = values["far"], values["beyond"]
    if not (far >= FAR and beyond >= BEYOND):
        return []
    says = (
        f"The samples are far from the data: {far:.1f} times as far from the nearest real {words.one} as other real "
        f"{words.many} are, and {beyond:.0%} of them farther than any of these. They are noise, or of another kind."
    )
    advice = (
        "a smaller learning rate, longer training, and for a GAN a gradient penalty (r1); where the losses look fine, "
        f"see that the transform's inverse gives {words.many} on the data's scale"
    )
    return [Finding("samples_far", "serious" if far > 2.0 else "warning", "samples", far, says, advice)]


def _alike(found: Mapping[str, Compared], far: float, words: Words) -> list[Finding]:
    """Samples that are too much alike; `far` is NaN of points."""
    close = math.isnan(far) or (far < FAR and "nearest" in found and found["nearest"].ratio < 1.0)
    low = {k: c for k, c in found.items() if c.below and c.ratio < LEVELS[k][1] and (close or k not in SHARES)}
    if not low:
        return []
    sure = any(c.ratio < LEVELS[k][0] for k, c in low.items())
    worst = min(c.ratio for c in low.values())
    some = "" if sure or low.keys() - SHARES else " of some kinds"  # the others are as varied as real ones
    says = f"Mode collapse{some}: {'; '.join(SAYS[k](c, words) for k, c in low.items())}."
    advice = (
        "for a GAN a relativistic loss with R1 and R2, a smaller learning rate or a larger batch; for a VAE "
        f"{FREE_BITS}"
    )
    return [Finding("mode_collapse", "serious" if sure else "warning", "samples", worst, says, advice, sure=sure)]


SAYS: Mapping[str, Callable[[Compared, Words], str]] = {
    "spread": lambda c, w: f"pairs of samples are {c.ratio:.2g} times as far apart as pairs of real {w.many}",
    "distinct": lambda c, w: f"a grid shows about {c.value:.2g} different {w.many}, one of real {w.many} {c.usual:.2g}",
    "nearest": lambda c, w: f"a sample's nearest other one is {c.ratio:.2g} times as far away as a real {w.one}'s",
    "within": lambda c, w: (
        f"within a class there is {max(c.ratio, 0.0):.0%} of the variety of real {w.many}, "
        f"so nearly one {w.one} a class"
    ),
    "kinds": lambda c, w: (
        f"{c.value:.0%} of the samples are spread over the kinds of {w.many} as real ones are "
        f"(of as many real ones {c.usual:.0%})"
    ),
    "classes": lambda c, w: (
        f"{c.value:.0%} of the samples are spread over the classes as real {w.many} are, by the nearest "
        f"real one (of as many real ones {c.usual:.0%})"
    ),
}
"""What each statistic means when it is low."""
