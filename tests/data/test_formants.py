"""The synthesiser of digits: reproducible, audible, and each digit another sound."""

import numpy as np

from genjax.data import formants


def spectra(x: np.ndarray) -> np.ndarray:
    """Mean log spectrum over the sounding part, (n, bands)."""
    frames = np.stack([x[:, i : i + 256] for i in range(0, formants.LONGEST, 128)], axis=1) * np.hanning(256)
    power = np.abs(np.fft.rfft(frames / 32768.0)) ** 2
    return np.log(power.reshape(len(x), power.shape[1], -1)[..., 1:].mean(1).reshape(len(x), 32, 4).sum(2) + 1e-4)


def test_the_same_seed_gives_the_same_sounds_and_another_others():
    label = np.arange(10)
    a, b, c = (formants.spoken(label, seed) for seed in (0, 0, 1))
    assert a.dtype == np.int16
    assert a.shape == (10, 8192)
    assert (a == b).all()
    assert (np.abs(a.astype(int) - c) > 1000).any(1).all()
    assert (a[:, formants.LONGEST :] == 0).all()
    peaks = np.abs(a.astype(int)).max(1)
    assert (peaks > 4000).all()
    assert (peaks < 30000).all()


def test_digits_differ_more_than_voices():
    """A nearest mean over the average spectrum alone, without time, tells most digits of unseen voices apart."""
    label = np.arange(300) % 10
    train, test = spectra(formants.spoken(label, 0)), spectra(formants.spoken(label, 1))
    train, test = (v - v.mean(1, keepdims=True) for v in (train, test))
    means = np.stack([train[label == k].mean(0) for k in range(10)])
    found = ((test[:, None] - means[None]) ** 2).sum(2).argmin(1)
    assert (found == label).mean() > 0.6


def test_no_phone_of_a_word_is_missing_and_every_utterance_ends_in_time():
    for word in formants.WORDS:
        longest = sum(formants.PHONES[name].ms for name in word.split()) * 1.2 / 1000 + 0.04
        assert longest * formants.RATE < formants.LONGEST
