"""Pieces of a run join to the same bytes."""

import numpy as np
import pytest

from experiments.accelerator import pieces


@pytest.fixture
def run(tmp_path):
    """Something like a run's folder."""
    folder = tmp_path / "run"
    (folder / "checkpoints" / "4" / "empty").mkdir(parents=True)
    (folder / "samples").mkdir()
    (folder / "samples" / "00000000.png").write_bytes(b"x" * 9000)
    (folder / "config.json").write_text("{}")
    (folder / "checkpoints" / "4" / "state").write_bytes(np.random.default_rng(0).bytes(50_000))
    return folder


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def test_pieces_join_to_the_same_bytes(run, tmp_path):
    made = pieces.split(run, tmp_path / "out", "row", largest=8000)
    assert [p.name for p in made] == [f"row.{i:03d}" for i in range(len(made))]
    assert len(made) > 5
    assert max(p.stat().st_size for p in made) <= 8000
    first = pieces.join(tmp_path / "out", "row", tmp_path / "again")
    want = {k: v for k, v in files(run).items() if not k.startswith("samples")}
    assert files(tmp_path / "again") == want
    pieces.split(tmp_path / "again", tmp_path / "out2", "row", largest=9000)
    assert pieces.join(tmp_path / "out2", "row", tmp_path / "third") == first


def test_fewer_pieces_replace_more(run, tmp_path):
    pieces.split(run, tmp_path / "out", "row", largest=8000)
    assert len(pieces.split(run, tmp_path / "out", "row")) == 1
    assert len(pieces.pieces_of(tmp_path / "out", "row")) == 1
    assert pieces.LARGEST <= 15 * 2**20


@pytest.mark.parametrize("gone", [0, 2, -1])
def test_a_missing_piece_is_said_and_nothing_is_left(run, tmp_path, gone):
    made = pieces.split(run, tmp_path / "out", "row", largest=8000)
    made[gone].unlink()
    with pytest.raises(ValueError, match=r"row\.\*: a piece is missing or damaged"):
        pieces.join(tmp_path / "out", "row", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_no_pieces(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no pieces"):
        pieces.join(tmp_path, "row", tmp_path / "again")
