"""Players in a notebook: each sound whole, beside its name, and nothing loaded from elsewhere."""

import base64
import re

import numpy as np
import pytest

from genjax import viz
from genjax.domains.synthesiser import wav


def test_a_player_holds_the_whole_sound_beside_its_name():
    sounds = {"a tune": wav(np.linspace(-1, 1, 80, dtype=np.float32)), "<script>": wav(np.zeros(8, np.float32))}
    html = viz.players(sounds)._repr_html_()
    stored = re.findall(r'<audio controls preload="metadata" src="data:audio/wav;base64,([^"]+)">', html)
    assert [base64.b64decode(text) for text in stored] == list(sounds.values())
    assert re.findall(r"<th>(.*?)</th>", html) == ["a tune", "&lt;script&gt;"]
    assert "http" not in html


def test_a_notebook_keeps_a_short_repr_beside_them():
    assert len(repr(viz.players({"a": wav(np.zeros(8000, np.float32))}))) < 100


def test_none_is_refused():
    with pytest.raises(ValueError, match="at least one sound"):
        viz.players({})
