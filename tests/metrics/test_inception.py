"""The door for FID's weights: what is imported, what is refused, what is said without them."""

import hashlib
import zipfile

import numpy as np
import pytest
from torch_writer import A, archive, pickled, tensor

from genjax import cli
from genjax.errors import UsageError
from genjax.metrics import feature_net, weights
from genjax.metrics import inception as door
from genjax.nets import inception


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture(scope="module")
def arrays():
    """Arrays as the published file has them: each one number repeated, which takes no memory."""
    out = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for path, layer, n_in in inception.layers():
        name = ".".join(path)
        out[f"{name}.conv.weight"] = (layer.n_out, n_in, *layer.kernel)
        out |= {f"{name}.bn.{k}": (layer.n_out,) for k in ("weight", "bias", "running_mean", "running_var")}
        out[f"{name}.bn.num_batches_tracked"] = ()
    return {k: np.broadcast_to(np.float32(1.0 + i % 5), shape) for i, (k, shape) in enumerate(out.items())}


def test_without_weights_one_line_says_how_to_get_them(capsys):
    with pytest.raises(UsageError, match=r"^feature net inception: .*pt_inception.*genjax features import .*\.$") as e:
        feature_net("inception")
    assert "\n" not in str(e.value)
    assert cli.main(["features"]) == 0
    out = capsys.readouterr().out
    assert "fd_mnist" in out
    assert "inception: not here; download" in out


def test_arrays_find_their_places(arrays):
    """Kernels are turned from (out, in, h, w) to (h, w, in, out), each array by its own name."""
    own = dict(arrays)
    kernel = np.random.default_rng(0).normal(size=(384, 448, 3, 3)).astype(np.float32)
    own["Mixed_7c.branch3x3dbl_2.conv.weight"] = kernel
    for i, k in enumerate(("weight", "bias", "running_mean", "running_var")):
        own[f"Mixed_7c.branch3x3dbl_2.bn.{k}"] = np.full(384, i + 10.0, np.float32)
    params, state = door.converted(own, "F")
    here = params["Mixed_7c"]["branch3x3dbl_2"]
    assert here["kernel"][2, 0, 17, 5] == kernel[5, 17, 2, 0]
    assert (here["scale"][0], here["bias"][0]) == (10, 11)
    norm = state["Mixed_7c"]["branch3x3dbl_2"]
    assert (norm["mean"][0], norm["var"][0]) == (12, 13)
    assert params["fc"]["kernel"].shape == (2048, 1008)
    assert params["Conv2d_1a_3x3"]["kernel"].shape == (3, 3, 3, 32)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a.pop("Mixed_5b.branch1x1.conv.weight"), r"F: lacks Mixed_5b.branch1x1.conv.weight and 0 more"),
        (lambda a: a.update(extra=np.zeros(3)), "F: has extra, which"),
        (lambda a: a.update({"fc.weight": np.zeros((1000, 2048))}), r"fc.weight has shape \(1000, 2048\), not \(1008,"),
        (lambda a: a.update({"fc.bias": np.full(1008, np.nan)}), "fc.bias holds numbers that are not finite"),
        (lambda a: a.update({"Mixed_7a.branch3x3_1.bn.running_var": np.full(192, -1.0)}), "negative variances"),
    ],
)
def test_other_arrays_are_refused_by_name(arrays, change, says):
    own = dict(arrays)
    change(own)
    with pytest.raises(UsageError, match=says):
        door.converted(own, "F")


def malicious(path):
    code = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00echo\x85R."
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("archive/data.pkl", code)
    return path


def test_the_command_refuses_and_writes_nothing(home, capsys):
    file = malicious(home / "evil.pth")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert cli.main(["features", "import", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"its SHA-256 is {sha256}, not {door.SHA256}" in said
    assert "--allow-unknown" in said
    assert "95,628,359" in said
    assert cli.main(["features", "import", str(file), "--allow-unknown"]) == 2
    assert "names posix.system, and only tensors may be named" in capsys.readouterr().err
    assert cli.main(["features", "import", str(home / "absent.pth")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert cli.main(["features", "export"]) == 2
    assert not (home / "data").exists()


def test_a_file_of_other_arrays_or_a_truncated_one_is_refused(home, capsys):
    whole = archive(pickled({"a": tensor("0", A)}), {"0": A.tobytes()})
    for content, says in ((whole, "lacks Conv2d_1a_3x3.bn.bias and"), (whole[:-30], "is damaged")):
        (home / "x.pth").write_bytes(content)
        assert cli.main(["features", "import", str(home / "x.pth"), "--allow-unknown"]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_imported_is_used_under_the_hash_of_its_source(home, arrays, monkeypatch, capsys):
    """The whole way but for the reader, with a short net in place of 94 layers."""
    monkeypatch.setattr(door.torch_file, "read", lambda content, name: arrays)
    file = home / "weights.pth"
    file.write_bytes(b"stands for the file")
    assert cli.main(["features", "import", str(file), "--allow-unknown"]) == 0
    out = capsys.readouterr().out
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert sha256 in out
    assert "distances with it are no FID" in out
    net = feature_net("inception")
    assert (net.name, net.sha256, net.n_features, net.n_classes) == ("inception", sha256, 2048, 1008)
    assert cli.main(["features"]) == 0
    assert "fd_inception (unknown weights: no FID)" in capsys.readouterr().out
    monkeypatch.setattr(door, "SHA256", sha256)
    assert cli.main(["features"]) == 0
    assert " fid" in capsys.readouterr().out
    for images in (np.zeros((1, 8, 8, 2), np.uint8), np.zeros((1, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(UsageError, match="feature net inception: takes images"):
            net.features(images)
    installed = door.installed()
    content = bytearray(installed.read_bytes())
    flipped = content.copy()
    flipped[-1] ^= 1  # the last bit of a weight: of the right shape, and finite
    installed.write_bytes(flipped)
    with pytest.raises(UsageError, match="not those that were imported"):
        feature_net("inception")
    w = weights.read(installed)
    weights.write(installed, w.params, w.state, {"source_sha256": sha256})
    with pytest.raises(UsageError, match="no check sum"):
        feature_net("inception")
    content[20] ^= 255
    installed.write_bytes(content)
    with pytest.raises(UsageError, match="is not a safetensors file"):
        feature_net("inception")
    weights.write(installed, {"w": np.zeros(3)}, {}, {"source_sha256": sha256})
    with pytest.raises(UsageError, match="holds other arrays"):
        feature_net("inception")


def test_gray_images_are_shown_three_times():
    assert door.three_channels(np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)).tolist() == [
        [[[0] * 3, [1] * 3], [[2] * 3, [3] * 3]]
    ]
