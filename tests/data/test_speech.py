"""Speech as a data set: folders of recordings, the split of the spoken digits, synthetic ones."""

import json

import numpy as np
import pytest
from scipy.io import wavfile

from genjax import recipes
from genjax.data import speech
from genjax.errors import UsageError
from genjax.metrics import feature_net


def tone(hz: float, n: int = 3000) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hz / 8000 * np.arange(n))).astype(np.int16)


def put(folder, name: str, x: np.ndarray, rate: int = 8000):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(folder / name, rate, x)


def test_class_folders_give_labels_and_parts_are_parts(tmp_path):
    for part in ("train", "test"):
        for word, hz in (("yes", 300), ("no", 500)):
            for i in range(2):
                put(tmp_path, f"{part}/{word}/{i}.wav", tone(hz, 2000 + i))
    d = speech.load_path(tmp_path)
    assert d.spec.domain == "speech"
    assert (d.spec.shape, d.spec.dtype, d.spec.n_values, d.spec.about) == ((8192,), "int16", 65536, {"rate": 8000})
    assert d.spec.classes == ("no", "yes")
    assert d.train.y.tolist() == [0, 0, 1, 1]
    assert (d.train.x[2][:2000] == tone(300, 2000)).all()
    assert (d.train.x[2][2000:] == 0).all()
    assert d.files["test"] == tuple(f"test/{f}.wav" for f in ("no/0", "no/1", "yes/0", "yes/1"))


def test_spoken_digits_are_known_by_their_names_and_split_by_their_numbers(tmp_path):
    for digit in (3, 7):
        for speaker in ("ann", "bob"):
            for number in (0, 4, 5, 49):
                put(tmp_path, f"{digit}_{speaker}_{number}.wav", tone(100 * digit + number))
    d = speech.load_path(tmp_path)
    assert d.spec.classes == ("3", "7")
    assert set(d.files["train"]) == {f"{k}_{s}_{n}.wav" for k in (3, 7) for s in ("ann", "bob") for n in (5, 49)}
    assert set(d.files["test"]) == {f"{k}_{s}_{n}.wav" for k in (3, 7) for s in ("ann", "bob") for n in (0, 4)}
    assert d.files["train"][0] == "3_ann_5.wav"  # one number after the other
    assert d.files["train"][-1] == "7_bob_49.wav"
    for part, examples in (("train", d.train), ("test", d.test)):
        assert [d.spec.classes[y] for y in examples.y] == [f[0] for f in d.files[part]]
    assert any("recordings 0 to 4 are the test part" in note for note in d.notes)


def test_what_was_done_to_recordings_is_said(tmp_path):
    put(tmp_path, "a.wav", tone(300))
    put(tmp_path, "b.wav", tone(300, 20000))
    put(tmp_path, "c.wav", np.stack([tone(300), tone(300)], axis=1), 16000)
    put(tmp_path, "d.wav", np.zeros(100, np.int16))
    (tmp_path / "e.mp3").write_bytes(b"ID3")
    d = speech.load_path(tmp_path)
    assert d.spec.n_classes == 0
    assert d.train.x.shape == (4, 8192)
    told = "\n".join(d.notes)
    for expected in ("1 of 4 recordings resampled from 16,000 Hz", "1 of 4 recordings 2 channels averaged",
                     "1 of 4 recordings are silent", "1 of 4 recordings are cut after 1.02 s (8,192 samples)",
                     "files that are not read as recordings were left alone: 1 .mp3"):  # fmt: skip
        assert expected in told


def test_what_cannot_be_used_is_refused_and_named(tmp_path):
    with pytest.raises(UsageError, match=r"holds no recording. Wanted files ending in .wav"):
        speech.load_path(tmp_path)
    put(tmp_path, "a.wav", tone(300))
    put(tmp_path, "yes/b.wav", tone(300))
    with pytest.raises(UsageError, match="holds recordings itself"):
        speech.load_path(tmp_path)
    (tmp_path / "yes" / "b.wav").unlink()
    (tmp_path / "c.wav").write_bytes(b"")
    with pytest.raises(UsageError, match=r"c\.wav: is empty"):
        speech.load_path(tmp_path)


def test_one_file_is_a_data_set_of_one(tmp_path):
    put(tmp_path, "7_ann_0.wav", tone(300))
    assert speech.load_path(tmp_path / "7_ann_0.wav").train.x.shape == (1, 8192)


def test_an_example_is_as_long_as_asked_for_or_as_those_of_the_run(tmp_path):
    put(tmp_path, "a.wav", tone(300, 3000))
    d = speech.load_path(tmp_path, samples=1024)
    assert d.train.x.shape == (1, 1024)
    assert (d.train.x[0] == tone(300, 1024)).all()
    assert any("1 of 1 recordings are cut after 0.13 s (1,024 samples)" in note for note in d.notes)
    assert speech.load_path(tmp_path, like=d.spec).train.x.shape == (1, 1024)
    assert speech.load_embedded("synthetic_speech", samples=1024).test.x.shape == (120, 1024)
    with pytest.raises(UsageError, match="samples=8: recordings of at least 32 samples"):
        speech.load_path(tmp_path, samples=8)


def test_synthetic_digits_say_that_they_are_none():
    d = speech.load_embedded("synthetic_speech")
    assert (len(d.train.x), len(d.test.x), d.spec.n_classes) == (600, 120, 10)
    assert np.bincount(d.test.y).tolist() == [12] * 10
    assert any("not real speech" in note for note in d.notes)


def test_the_real_recordings(shared_data, tmp_path):
    """The 2,500 recordings of the Free Spoken Digit Dataset v1.0.9, read from the archive."""
    import tarfile

    archive = shared_data / "raw" / "spoken_digit" / "recordings.tar.gz"
    if not archive.is_file():
        pytest.skip("missing data: there is no spoken_digit/recordings.tar.gz")
    with tarfile.open(archive) as f:
        f.extractall(tmp_path, filter="data")
    d = speech.load_path(tmp_path / "recordings")
    assert (len(d.train.x), len(d.test.x)) == (2250, 250)
    assert np.bincount(d.train.y).tolist() == [225] * 10
    assert d.spec.fingerprint.startswith("210d41e331ae")
    assert len({f.split("_")[1] for f in d.files["train"]}) == 5
    right = feature_net("spoken_digit").logits(d.test.x).argmax(1) == d.test.y
    record = json.loads((recipes.folder() / "results" / "features" / "spoken_digit.json").read_text())
    assert right.mean() == pytest.approx(record["metrics"]["shipped_test_accuracy"], abs=1.5 / len(right))
