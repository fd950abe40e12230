"""Music: rolls to MIDI and back, what strange MIDI files become, JSON of chords, windows, the tunes, random views."""

import gzip
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax.data import music, tunes
from genjax.data.sequence_views import cropped, transposed
from genjax.errors import UsageError
from genjax.formats import midi
from genjax.types import Batch

mido = pytest.importorskip("mido")


def song(events, ticks=96, type=1, extra=()):
    """A MIDI file of (delta, kind, note, channel) events; `extra` are messages at the beginning."""
    file = mido.MidiFile(type=type, ticks_per_beat=ticks)
    track = mido.MidiTrack(extra)
    for delta, kind, note, channel in events:
        track.append(mido.Message(kind, note=note, velocity=64, channel=channel, time=delta))
    file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def read(tmp_path, content, grid=4):
    path = tmp_path / "a.mid"
    path.write_bytes(content)
    return midi.read_midi(path, grid)


ONE = [(0, "note_on", 60, 0), (96, "note_off", 60, 0)]


@pytest.mark.parametrize("grid", [1, 2, 4, 3])
def test_rolls_come_back(tmp_path, grid):
    random = np.random.RandomState(0)
    roll = (random.rand(40, 88) < 0.1).astype(np.uint8)
    roll[0, 3] = roll[-1, 5] = 1
    assert (read(tmp_path, midi.write_midi(roll, grid), grid).roll == roll).all()


def test_a_file_of_silence_is_one_that_has_no_notes(tmp_path):
    with pytest.raises(UsageError, match="has no notes"):
        read(tmp_path, midi.write_midi(np.zeros((8, 88), np.uint8)))


def test_a_note_lasts_from_its_step_to_its_end(tmp_path):
    piece = read(tmp_path, song([(0, "note_on", 60, 0), (144, "note_off", 60, 0)]))
    assert piece.roll.shape == (6, 88)
    assert (piece.roll[:, 60 - 21] == 1).all()
    assert piece.roll.sum() == 6


def test_tempo_changes_move_nothing(tmp_path):
    slow = [mido.MetaMessage("set_tempo", tempo=900_000, time=0), mido.MetaMessage("set_tempo", tempo=200_000, time=0)]
    assert (read(tmp_path, song(ONE, extra=slow)).roll == read(tmp_path, song(ONE)).roll).all()


def test_velocity_zero_ends_a_note(tmp_path):
    events = song([(0, "note_on", 60, 0)], extra=())
    file = mido.MidiFile(file=io.BytesIO(events))
    file.tracks[0].insert(1, mido.Message("note_on", note=60, velocity=0, time=96))
    out = io.BytesIO()
    file.save(file=out)
    assert read(tmp_path, out.getvalue()).roll.shape == (4, 88)


def test_two_tracks_sound_together(tmp_path):
    file = mido.MidiFile(file=io.BytesIO(song(ONE)))
    file.tracks.append(mido.MidiTrack(m.copy(note=64) if m.type.startswith("note") else m for m in file.tracks[0]))
    out = io.BytesIO()
    file.save(file=out)
    piece = read(tmp_path, out.getvalue())
    assert (piece.roll.sum(1) == 2).all()


def test_a_short_note_has_a_step(tmp_path):
    assert read(tmp_path, song([(0, "note_on", 60, 0), (1, "note_off", 60, 0)])).roll.shape == (1, 88)


def test_drums_and_notes_beyond_a_piano_are_left_out_and_counted(tmp_path):
    events = [(0, "note_on", 36, 9), (0, "note_on", 5, 0), (0, "note_on", 60, 0), (96, "note_off", 60, 0)]
    piece = read(tmp_path, song(events))
    assert piece.drums == 1
    assert piece.outside == 1
    assert piece.roll.sum() == 4


@pytest.mark.parametrize(
    ("what", "content", "says"),
    [
        ("no MIDI", b"hello, this is no midi file at all", "cannot be read as MIDI"),
        ("nothing", b"", "cannot be read as MIDI"),
        ("half a file", song(ONE)[:30], "cannot be read as MIDI"),
        ("drums alone", song([(0, "note_on", 36, 9), (96, "note_off", 36, 9)]), "has drums alone"),
        ("no notes", song([]), "has no notes"),
        ("notes beyond a piano", song([(0, "note_on", 5, 0), (96, "note_off", 5, 0)]), "no notes that a piano has"),
        ("a year of one note", song([(0, "note_on", 60, 0), (2**27, "note_off", 60, 0)], 1), "536,870,912 steps"),
        ("type 2", song(ONE, type=2), "is MIDI of type 2"),
    ],
)
def test_refused_in_two_lines(tmp_path, what, content, says):
    with pytest.raises(UsageError) as refused:
        read(tmp_path, content)
    lines = str(refused.value).splitlines()
    assert len(lines) == 2
    assert says in lines[0]


def test_a_long_piece_is_refused_before_its_roll_is_made(tmp_path, monkeypatch):
    """A file of 40 bytes asked for 44 GiB."""
    monkeypatch.setattr(midi, "_roll", lambda *args: pytest.fail("a roll is made"))
    with pytest.raises(UsageError, match="at most 1,048,576"):
        read(tmp_path, song([(0, "note_on", 60, 0), (2**18 + 1, "note_off", 60, 0)], 1))


def test_a_piece_longer_than_an_example_is_refused_whole_and_read_in_windows(tmp_path):
    (tmp_path / "a.mid").write_bytes(song([(0, "note_on", 60, 0), (1100, "note_off", 60, 0)], 1))
    with pytest.raises(UsageError, match="has 4,400 steps, and an example has at most 4,096"):
        music.load_path(tmp_path / "a.mid")
    assert music.load_path(tmp_path / "a.mid", window=400).train.x.shape == (11, 400, 88)


def test_windows_that_memory_does_not_hold_are_refused(monkeypatch):
    monkeypatch.setattr(music.headroom, "available", lambda: 10**7)
    pieces = [midi.Piece(np.ones((n, 88), np.uint8)) for n in (4000, *[1] * 300)]
    with pytest.raises(UsageError, match="301 examples of 4,000 steps"):
        music._dataset("a", {"train": pieces}, 4, 0, None)


def test_a_folder_of_parts_and_windows(tmp_path):
    for part, n in (("train", 3), ("test", 1), ("valid", 1)):
        (tmp_path / part).mkdir()
        for i in range(n):
            (tmp_path / part / f"{i}.mid").write_bytes(
                song([(0, "note_on", 60 + i, 0), (96 * 5, "note_off", 60 + i, 0)])
            )
    d = music.load_path(tmp_path, window=16)
    assert d.spec.domain == "music"
    assert d.spec.shape == (16, 88)
    assert d.spec.n_values == 2
    assert d.train.x.shape[0] == 6  # five quarters are twenty steps: a window of sixteen and one of four
    assert d.train.event_mask.sum(1).tolist() == [16, 4] * 3
    assert d.test.x.shape[0] == d.validation.x.shape[0] == 2
    whole = music.load_path(tmp_path)
    assert whole.spec.shape == (20, 88)
    assert whole.train.event_mask.all()


def test_json_of_chords(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"train": [[[60, 64], []], [[21, 108]]], "valid": [[[60]]], "test": [[[61]]]}))
    d = music.load_path(path)
    assert d.spec.shape == (2, 88)
    assert d.spec.about["steps_per_quarter"] == 1
    assert d.train.x.sum((1, 2)).tolist() == [2, 2]
    assert d.train.event_mask.sum(1).tolist() == [2, 1]
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert (music.load_path(tmp_path / "c.json.gz").train.x == d.train.x).all()
    strange = ('{"train": [[[Infinity]]]}', '{"steps_per_quarter": 0, "train": [[[60]]]}', "[" * 100_000)
    for bad in ("{}", '{"train": [[[7]]]}', "[1]", "{", '{"train": 3}', *strange):
        path.write_text(bad)
        with pytest.raises(UsageError) as refused:
            music.load_path(path)
        assert len(str(refused.value).splitlines()) == 2


def test_chords_packed_beyond_measure_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(music, "MOST_BYTES", 2**20)
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(b" " * 2**21))
    with pytest.raises(UsageError, match="more than 1 MB, unpacked"):
        music.load_path(tmp_path / "c.json.gz")


def test_published_chorales(shared_data):
    path = shared_data / "raw" / "jsb_chorales" / "jsb-chorales-quarter.json.gz"
    if not path.is_file():
        pytest.skip("missing data: there is no jsb-chorales-quarter.json.gz")
    d = music.load_path(path)
    parts = (d.train, d.validation, d.test)
    assert [len(p.x) for p in parts] == [229, 76, 77]
    assert [int(p.event_mask.sum()) for p in parts] == [13_807, 4_602, 4_725]
    assert d.spec.shape == (160, 88)
    assert sum(int((p.x.sum(2) == 0)[p.event_mask].sum()) for p in parts) == 64  # silent steps


def test_every_tune_fits_its_chords_and_keys_differ():
    found = tunes.rolls()
    assert len(found["train"]) + len(found["test"]) == 12 * len(tunes.read())
    low, high = found["train"][0], found["train"][11]
    assert (np.roll(low, 11, axis=1) == high).all()
    for rolls in found.values():
        assert all(r.any(1).all() for r in rolls)  # something sounds in every step


def test_a_crop_lies_in_what_counts():
    mask = jnp.arange(12)[None] < jnp.array([[12], [7], [3]])
    x = jnp.tile(jnp.arange(12)[None], (3, 1))
    starts = set()
    for seed in range(40):
        b = cropped(jax.random.key(seed), Batch(x, event_mask=mask), 5)
        assert b.x.shape == (3, 5)
        assert b.event_mask.sum(1).tolist() == [5, 5, 3]
        assert (jnp.diff(b.x, axis=1) == 1).all()
        starts.add(int(b.x[1, 0]))
    assert starts == {0, 1, 2}
    assert cropped(jax.random.key(0), Batch(x, event_mask=mask), 12).x is x


def test_transposition_keeps_intervals_and_is_even():
    x = jnp.zeros((4000, 1, 9)).at[:, 0, jnp.array([4, 6])].set(1.0)
    moved = transposed(jax.random.key(0), Batch(x), 2).x[:, 0]
    lowest = np.asarray(moved.argmax(1))
    assert (np.asarray(moved.sum(1)) == 2).all()
    np.testing.assert_allclose(np.bincount(lowest, minlength=9)[2:7] / 4000, 0.2, atol=0.03)
