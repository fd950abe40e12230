"""Records become tables, the README's sentence, and the figures of `genjax plan`."""

import json
from pathlib import Path

import pytest
from accelerator_stamp import STAMP

from genjax import cli, recipes
from genjax import plan as paper
from genjax.cli import accelerators, plan, tables
from genjax.errors import UsageError
from genjax.plan import devices, measured_devices

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "experiments" / "accelerator"
H100 = {**STAMP, "device_kind": "NVIDIA H100 80GB HBM3", "rehearsal": False, "platform": "cuda", "jax": "0.11.2",
        "commit": "0123456789abcdef"}  # fmt: skip
RATES = {"float32": 3e14, "float32:highest": 5e13, "bfloat16": 6e14, "bfloat16:conv": 4e14}
FIGURES = {"overhead_s": 2e-6, "bytes_per_s": 3e12, "flops_per_s": RATES}
ROWS = {
    "environment": {"doctor": {"exit_code": 0, "lines": []}},
    "mathematics": {"vae_digits": {"highest": {"losses": 1e-7, "gradients": 2e-7},
                                   "default": {"losses": 1e-3, "gradients": 2e-3}, "seconds": 3}},
    "resume": {"vae_digits": {"exact": True, "cost": 1.25}},
    "speed": {
        "w1_vae/f32": {"images_per_s": {"genjax": 2e6}, "ratio": 2.5, "least": 2.0, "most": 3.0, "fastest": "compile"},
        "w1_vae/bf16": {"images_per_s": {"genjax": 3e6}},
        "w1_vae/f32/fill": {"images_per_s": 9e6, "batch": 8192},
        "w3_dcgan/f32": {"failed": "Gone: no card"},
    },
    "populations": {"vae_digits/8": {"members": 8, "steps_per_s": 1234.5, "ratio": 7.5}},
    "plan": {"figures": FIGURES, "w1_vae/f32": {"ratio": 0.5, "with_figures_ratio": 0.9}},
    "rows": {"iwae_b20": {"step": 123456, "ended": "out of time"}},
}  # fmt: skip


def write(folder, stamp=H100, parts=ROWS):
    place = folder / stamp["device_kind"].lower().replace(" ", "-")
    place.mkdir(parents=True)
    for part in parts:
        whole = {"part": part, "status": "done", "reason": "", "seconds": 1.0, "stamp": stamp, "rows": ROWS[part]}
        whole["left_out"] = ["w5_sngan/f32"] if part == "speed" else []
        (place / f"{part}.json").write_text(json.dumps(whole))


def test_the_readmes_of_this_checkout_are_their_records():
    found = accelerators.read_devices(FOLDER / "results")
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    made = accelerators.tables(FOLDER / "results")
    assert [w for t in made for w in tables.disagreements(page, t)] == []
    assert page.count("<!-- results ") == len(made) == len(accelerators.PARTS)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert accelerators.BEGIN in text
    assert accelerators.with_sentence(text, accelerators.sentence(found)) == text
    assert ("none has been timed on an accelerator yet" in text) == (not found)


def test_without_records_nothing_is_measured(tmp_path):
    for t in accelerators.tables(tmp_path):
        assert t.rows == ((f"all of {t.name}", "not measured yet"),)


def test_a_rehearsal_does_not_count(tmp_path):
    write(tmp_path, STAMP)
    assert accelerators.read_devices(tmp_path) == []
    assert measured_devices.with_measurements(devices.find("h100"), tmp_path) == devices.find("h100")


def test_records_become_tables(tmp_path):
    write(tmp_path)
    write(tmp_path, {**H100, "device_kind": "TPU v5 lite"}, ["speed"])
    made = {t.name: {row[0]: row[1:] for row in t.rows} for t in accelerators.tables(tmp_path)}
    speed = made["speed"]
    assert speed["w1_vae/f32"][0] == "2,000,000 examples/s, 2.50 (2.00 to 3.00) times compile"
    assert speed["w1_vae/f32/fill"][1] == "9,000,000 examples/s in batches of 8,192"
    assert speed["w3_dcgan/f32"][0] == "failed: Gone: no card"
    assert speed["w5_sngan/f32"] == ("not measured yet", "not measured yet")
    assert made["mathematics"]["vae_digits"][0].startswith("highest: losses 1.0e-07, gradients 2.0e-07; default: ")
    assert made["mathematics"]["vae_digits"][1] == "not measured yet"
    assert made["resume"]["vae_digits"][0].startswith("exact; 1.25 times")
    assert made["populations"]["vae_digits/8"][0] == "1,234 steps/s of 8 members, 7.5 times one at a time"
    assert made["plan"]["w1_vae/f32"][0] == "0.50 predicted over measured, 0.90 with these figures"
    assert made["rows"]["iwae_b20"][0] == "step 123,456, out of time"
    assert made["environment"]["genjax"][0] == "0123456789ab"


def test_the_sentence_names_what_was_measured(tmp_path):
    write(tmp_path)
    said = accelerators.sentence(accelerators.read_devices(tmp_path))
    assert said.startswith("what was timed on NVIDIA H100 80GB HBM3 (2026-11-28, jax 0.11.2) is in ")
    text = f"a {accelerators.BEGIN}old{accelerators.END} b"
    assert accelerators.with_sentence(text, "new") == f"a {accelerators.BEGIN}new{accelerators.END} b"
    assert accelerators.with_sentence("no marks", "new") == "no marks"


def test_genjax_results_holds_both_pages_to_the_records(tmp_path, monkeypatch, capsys):
    experiments = tmp_path / "experiments"
    write(experiments / "accelerator" / "results")
    monkeypatch.setattr(recipes, "folder", lambda: experiments)
    marks = "".join(f"<!-- results {p} -->\n<!-- end of results -->\n" for p in accelerators.PARTS)
    (experiments / "accelerator" / "README.md").write_text(marks)
    (tmp_path / "README.md").write_text(f"{accelerators.BEGIN}{accelerators.END}\n")
    (experiments / "README.md").write_text("<!-- results digits -->\n<!-- end of results -->\n")
    (experiments / "results").mkdir()
    (experiments / "results" / "digits.json").write_text(json.dumps({"runs": []}))
    assert cli.main(["results"]) == 1
    err = capsys.readouterr().err
    assert "experiments/accelerator/README.md and the records disagree" in err
    assert "the sentence on accelerators" in err
    assert cli.main(["results", "--write"]) == 0
    assert cli.main(["results"]) == 0
    assert "what was timed on NVIDIA H100" in (tmp_path / "README.md").read_text()


def test_a_damaged_record_is_named(tmp_path):
    write(tmp_path)
    next(tmp_path.glob("*/plan.json")).write_text("{}")
    with pytest.raises(UsageError, match=r"plan\.json"):
        accelerators.read_devices(tmp_path)
    with pytest.raises(UsageError, match=r"plan\.json"):
        measured_devices.with_measurements(devices.find("h100"), tmp_path)


@pytest.mark.slow
def test_a_plan_predicts_from_what_was_measured_and_says_so(tmp_path, monkeypatch):
    recipe = recipes.load("vae_digits")
    cfg = recipe.Config(hidden=16, z_dim=2, batch_size=16)

    def planned(**flags):
        return plan.made_plan(recipe, cfg, plan.PlanFlags(device="h100", shape="8x8x1", **flags))

    monkeypatch.setattr(measured_devices, "folder", lambda: tmp_path)
    before = planned()
    write(tmp_path)
    after = planned()
    text = " ".join(plan.text("vae_digits", after).split())
    assert "measured time of an empty kernel: 2 us" in text
    assert "bfloat16 600 (61% of the peak)" in text
    assert "at the rates measured on such a device" in text
    assert "TF32 at JAX's default" not in text
    assert after.bound == before.bound
    assert before.predicted - after.predicted == pytest.approx(before.estimate.kernels * 1e-6, rel=0.2)
    assert "never measured" in plan.text("vae_digits", before)
    assert measured_devices.with_measurements(devices.find("h200"), tmp_path) == devices.find("h200")


def test_an_efficiency_that_is_given_is_an_assumption(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(measured_devices, "folder", lambda: tmp_path)
    recipe, found = recipes.load("vae_digits"), []
    monkeypatch.setattr(paper, "plan", lambda *a: found.append(a[3]))
    for efficiency in (None, 0.4):
        plan.made_plan(recipe, recipe.SMOKE, plan.PlanFlags(device="h100", shape="8x8x1", efficiency=efficiency))
    assert [bool(device.measured) for device in found] == [True, False]


def test_figures_of_an_unknown_card_are_not_guessed():
    with pytest.raises(UsageError, match="no published figures of it"):
        measured_devices.published("NVIDIA L4")
    assert measured_devices.published("NVIDIA H200").name == "h200"
    device = measured_devices.using(devices.find("h100"), FIGURES, "")
    assert device.reached_rate("bfloat16", True) == 4e14
    assert device.reached_rate("float32", True) == 3e14
    assert device.reached_rate("float32:highest", True) == 5e13
    assert device.reached_rate("float16", False) is None
