"""Spaces in which recordings are compared, a classifier's or that of mean spectra; and the metrics of sound alone."""

import numpy as np
from jaxtyping import Float, Int16

from genjax.data import Examples
from genjax.errors import UsageError
from genjax.metrics.features import SHIPPED, feature_net
from genjax.metrics.spaces import Numbers, Space
from genjax.metrics.speech import mean_spectrum_db, spectrograms
from genjax.metrics.table import Metric

SPECTRA = "spectra"
DIGITS_NET = "spoken_digit"
DIGITS = tuple("0123456789")


def spectra(x: Int16[np.ndarray, "n t"]) -> Float[np.ndarray, "n d"]:
    """Mean and standard deviation over time of each mel band, with the mean over eight parts of the time: 400 numbers.

    Example:
        >>> spectra(np.zeros((2, 8192), np.int16)).shape
        (2, 400)
    """
    mel = spectrograms(x)
    parts = [part.mean(1) for part in np.array_split(mel, 8, axis=1)]
    return np.concatenate([mel.mean(1), mel.std(1), *parts], axis=1)


def speech_space(name: str, shape: tuple[int, ...], classes: tuple[str, ...]) -> Space:
    """The space that `--features` names; empty for the classifier where recordings are of digits, else for spectra.

    Args:
        name: `spoken_digit`, or `spectra`.
        shape: (samples,) of a recording.
        classes: their names: the classifier knows the ten digits.

    Raises:
        UsageError: there is no such space, or the classifier takes recordings of another length.
    """
    fits = tuple(shape) == SHIPPED[DIGITS_NET].shape
    if name == SPECTRA or (not name and not (fits and classes == DIGITS)):
        return Space(SPECTRA, "", spectra)
    if name not in ("", DIGITS_NET):
        raise UsageError(f"--features={name}: recordings are compared in {DIGITS_NET} or {SPECTRA}. Leave it out.")
    if not fits:
        raise UsageError(
            f"--features={name}: takes recordings of {SHIPPED[DIGITS_NET].shape[0]:,} samples, not {shape[0]:,}. "
            f"Try --features {SPECTRA}."
        )
    net = feature_net(DIGITS_NET)
    return Space(net.name, net.sha256, net.features, net.logits)


def _apart(real: np.ndarray, fake: Examples, key) -> Numbers:
    """Root mean square over the mel bands of how much louder or softer they are on average."""
    return {"spectrum_gap_db": float(np.sqrt(np.square(mean_spectrum_db(fake.x) - real).mean()))}


SPEECH_METRICS: dict[str, Metric] = {
    "spectrum": Metric(_apart, "examples", {"spectrum_gap_db": "lower"}, prepare=lambda real: mean_spectrum_db(real.x)),
}
