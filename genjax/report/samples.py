"""The samples of a page: growing over training, from the last checkpoint, and with their sound where they have one."""

from collections.abc import Callable

import numpy as np

from genjax import data
from genjax.data import Examples
from genjax.errors import UsageError
from genjax.report import html
from genjax.report.facts import Facts
from genjax.report.pictures import Pictures, spread

N_HEARD = 6
"""Examples of each side of a comparison that come with their sound."""


def time_at(run: Facts) -> Callable[[int], str]:
    """Wall-clock time at a step, between logged ones in proportion; nothing where the log does not reach."""
    steps, seconds = (np.r_[0.0, run.rows.get(k, np.zeros(0))] for k in ("step", "seconds"))

    def duration_at(step: int) -> str:
        return html.duration(float(np.interp(step, steps, seconds))) if 0 < step <= steps[-1] else ""

    return duration_at


def section(run: Facts, ident: str) -> str:
    """Samples over training, and those of the last checkpoint where a picture is not all of them."""
    if run.frames:
        note = f" {len(run.frames)} of {run.n_frames} grids are in this page." if run.n_frames > len(run.frames) else ""
        shown = html.frames(run.frames, f"{ident}-frames", "Generated samples", time_at(run), f"{ident}-samples", 620)
        shown += html.scrubber([f"{ident}-frames"], len(run.frames), "Step of training") if len(run.frames) > 1 else ""
        text = "The same latents at every stop: each place in the grid shows one image taking shape."
        text += f" A row is a member, from 0 to {len(run.members) - 1}." if run.members else ""
    elif run.pictures is not None:
        shown, note = shown_of(run.pictures, run.pictures.samples, "Generated samples", "", 620), ""
        text = "Samples from the last checkpoint. The run has saved no grids during training."
    else:
        shown, note, text = "", "", "There are no samples yet."
    of_mean = run.domain is not None and run.domain.drawn == "mean"
    mean = " Shown is the decoder's mean." if run.family == "VAE" and shown and of_mean else ""
    heard = heard_of(run.pictures, run.pictures.samples, "Generated samples") if run.pictures is not None else ""
    figure = f"<figure>{shown}</figure>" if shown else ""
    if run.pictures is not None and run.frames and (heard or not of_mean):  # a glance is no hearing, nor a whole text
        figure += f"<figure>{shown_of(run.pictures, run.pictures.samples, 'Generated samples', '', 620)}</figure>"
    return html.split("Samples growing over training", text + mean + note + legend(run), figure, 'id="pictures"')


def legend(run: Facts) -> str:
    """How to read what is shown of an example."""
    try:
        said = "" if run.domain is None else run.domain.legend(data.spec_of(run.data))
    except UsageError:
        said = ""
    return f" {said}" if said else ""


def heard_of(p: Pictures, examples: Examples, alt: str) -> str:
    """Some evenly spaced examples with their sound; empty where they have none."""
    shown = p.show(spread(examples, N_HEARD), None, False)
    body = html.pieces(shown, alt, "compare", 560) if any(getattr(piece, "sound", b"") for piece in shown) else ""
    return f'<div class="heard">{body}</div>' if body else ""


def shown_of(p: Pictures, examples: Examples, alt: str, group: str, most: int, ncols: int | None = None) -> str:
    return html.pieces(p.show(examples, ncols, False), alt, group, most)
