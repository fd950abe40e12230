"""The space in which recordings are compared, that of mean spectra; and the metrics of sound alone."""

import numpy as np
from jaxtyping import Float, Int16

from genjax.data import Examples
from genjax.errors import UsageError
from genjax.metrics.spaces import Numbers, Space
from genjax.metrics.speech import mean_spectrum_db, spectrograms
from genjax.metrics.table import Metric

SPECTRA = "spectra"


def spectra(x: Int16[np.ndarray, "n t"]) -> Float[np.ndarray, "n d"]:
    """Mean and standard deviation over time of each mel band, with the mean over eight parts of the time: 400 numbers.

    Example:
        >>> spectra(np.zeros((2, 8192), np.int16)).shape
        (2, 400)
    """
    mel = spectrograms(x)
    parts = [part.mean(1) for part in np.array_split(mel, 8, axis=1)]
    return np.concatenate([mel.mean(1), mel.std(1), *parts], axis=1)


def speech_space(name: str) -> Space:
    """The space that `--features` names; empty for the only one, that of spectra.

    Raises:
        UsageError: there is no such space.
    """
    if name not in ("", SPECTRA):
        raise UsageError(f"--features={name}: recordings are compared in {SPECTRA}. Leave it out.")
    return Space(SPECTRA, "", spectra)


def _apart(real: np.ndarray, fake: Examples, key) -> Numbers:
    """Root mean square over the mel bands of how much louder or softer they are on average."""
    return {"spectrum_gap_db": float(np.sqrt(np.square(mean_spectrum_db(fake.x) - real).mean()))}


SPEECH_METRICS: dict[str, Metric] = {
    "spectrum": Metric(_apart, "examples", {"spectrum_gap_db": "lower"}, prepare=lambda real: mean_spectrum_db(real.x)),
}
