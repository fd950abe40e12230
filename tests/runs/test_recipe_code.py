"""A run is its code and its data, wherever it lies: its own copy of the recipe, what may be executed, data by print."""

import dataclasses
import hashlib
import json
import os
import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from quick import few

from genjax import cli, recipes, runs, sources, trust
from genjax.errors import UsageError
from genjax.runs import recipe_code

PARTS = '''"""A neighbour."""
def weight():
    return 1.0
'''
FLAGS = ["--steps", "4", "--hidden", "8", "--z-dim", "2", "--batch-size", "8", "--log-every", "2", "--save-every", "2"]


def write_project(folder):
    """A recipe that imports its neighbour, and a folder of 30 small images in two classes beside it."""
    folder.mkdir(parents=True)
    text = recipes.find("vae_digits").read_text()
    text = text.replace("import optax\n", "import my_parts\nimport optax\n", 1)
    text = text.replace("objectives.beta_vae(vae, cfg.beta,", "objectives.beta_vae(vae, cfg.beta * my_parts.weight(),")
    assert "my_parts.weight()" in text
    text += '\n\nif __name__ == "__main__":\n    import sys\n\n    from genjax.cli import main as cli\n\n'
    text += '    raise SystemExit(cli(["train", __file__, *sys.argv[1:]]))\n'
    (folder / "my_vae.py").write_text(text)
    (folder / "my_parts.py").write_text(PARTS)
    rng = np.random.default_rng(0)
    for name in ("circle", "square"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(15):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / "photos" / name / f"{i}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with a run of four steps: a copy is for each test to spoil."""
    root = tmp_path_factory.mktemp("trained") / "proj"
    write_project(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert cli.main(["train", "my_vae.py", "--data", "./photos", *FLAGS, "--run-dir", "runs/a"]) == 0
    return root


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """The project under another path, the old one out of reach."""
    root = tmp_path / "elsewhere" / "proj"
    shutil.copytree(trained, root)
    away = trained.with_name("away")
    trained.rename(away)
    monkeypatch.chdir(tmp_path)
    yield root
    away.rename(trained)


def tree(folder):
    """The SHA-256 of every file below, but for the lock's."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "lock")
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def again(project, *more):
    return ["train", str(project / "my_vae.py"), "--data", str(project / "photos"), *FLAGS,
            "--run-dir", str(project / "runs" / "a"), *more]  # fmt: skip


def test_the_run_holds_its_recipe_and_what_it_imports(project):
    run = project / "runs" / "a"
    assert {p.name for p in (run / "recipe").iterdir()} == {"my_vae.py", "my_parts.py"}
    stored = json.loads((run / "config.json").read_text())
    assert stored["experiment"] == "my_vae"
    assert stored["code"]["genjax"] == sources.genjax_sha256()
    for name, sha in stored["code"]["recipe"].items():
        assert hashlib.sha256((run / "recipe" / name).read_bytes()).hexdigest() == sha
    assert json.loads((run / "manifest.json").read_text())["genjax_sha256"] == sources.genjax_sha256()


@pytest.mark.slow
def test_the_folder_alone_continues(project, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(project)
    shutil.move("my_vae.py", tmp_path / "gone.py")
    assert cli.main(["train", "runs/a", "--steps", "6"]) == 0
    shutil.move("runs", tmp_path / "got")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "got/a", "--steps", "7"]) == 0  # the data are where they were
    opened = runs.open_run("got/a")
    assert (opened.step, opened.config.hidden, opened.config.seed) == (7, 8, 0)
    shutil.move(project / "photos", tmp_path / "pictures")
    assert cli.main(["train", "got/a", "--steps", "8"]) == 2
    assert "photos" in capsys.readouterr().err
    assert cli.main(["train", "got/a", "--steps", "8", "--data", "pictures"]) == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other user"))
    assert cli.main(["train", "got/a", "--steps", "9"]) == 2
    assert "--trust" in capsys.readouterr().err
    assert cli.main(["train", "got/a", "--steps", "9", "--trust"]) == 0


@pytest.mark.slow
def test_the_folder_of_a_population_continues(tmp_path, capsys):
    run = str(tmp_path / "pop")
    assert cli.main(["train", "vae_digits", *FLAGS, "--seeds", "2", "--sweep", "beta=1,2", "--run-dir", run]) == 0
    assert cli.main(["train", run, "--steps", "5"]) == 0
    assert runs.open_run(run, member=3).config.beta == 2.0
    assert runs.open_run(run, member=3).step == 5


@pytest.mark.parametrize(("file", "old", "new"), [
    ("my_vae.py", "cfg.beta * my_parts", "3 * cfg.beta * my_parts"),
    ("my_parts.py", "1.0", "3.0"),
])  # fmt: skip
def test_another_code_is_refused_and_nothing_is_touched(project, capsys, file, old, new):
    path = project / file
    path.write_text(path.read_text().replace(old, new))
    before = tree(project)
    for steps in ("4", "8"):  # finished, and to be continued
        assert cli.main(again(project, "--steps", steps)) == 2
        err = capsys.readouterr().err
        assert f"{file} has changed" in err
        assert "--run-dir" in err
        assert "--changed-code" in err
        assert len(err.strip().splitlines()) <= 3
    assert tree(project) == before


@pytest.mark.slow
def test_another_code_continues_knowingly(project, capsys):
    (project / "my_parts.py").write_text(PARTS.replace("1.0", "3.0"))
    run = project / "runs" / "a"
    assert cli.main(again(project, "--steps", "6", "--changed-code")) == 0
    assert "my_parts.py has changed" in capsys.readouterr().err
    assert json.loads((run / "manifest.json").read_text())["continued"][-1]["recipe"] == ["my_parts.py has changed"]
    assert "3.0" in (run / "recipe" / "my_parts.py").read_text()
    assert "1.0" in (run / "recipe-1" / "my_parts.py").read_text()
    assert runs.open_run(run).step == 6
    assert cli.main(again(project, "--steps", "8")) == 0  # from now on this is its code
    assert json.loads((run / "config.json").read_text())["options"]["changed_code"] is False


@pytest.mark.slow
def test_what_measures_is_the_run_s_own_copy(project, capsys):
    run = str(project / "runs" / "a")
    assert cli.main(["eval", run, "--n", "10", "--metrics", "elbo"]) == 0
    before = json.loads((project / "runs" / "a" / "eval.json").read_text())["records"]
    (project / "my_parts.py").write_text(PARTS.replace("1.0", "3.0"))
    (project / "my_vae.py").write_text("raise SystemExit('executed')\n")
    assert cli.main(["eval", run, "--n", "10", "--metrics", "elbo"]) == 0
    assert json.loads((project / "runs" / "a" / "eval.json").read_text())["records"] == before


@pytest.mark.parametrize("how", few(["moved", "elsewhere alone"], "elsewhere alone"))
def test_a_moved_run_samples_measures_reports_and_continues(project, tmp_path, monkeypatch, capsys, how):
    run, photos = project / "runs" / "a", []
    if how == "elsewhere alone":  # the run's folder on another machine, the data under another name
        run = tmp_path / "got"
        shutil.move(project / "runs" / "a", run)
        shutil.move(project / "photos", tmp_path / "pictures")
        shutil.rmtree(project)
        photos = ["--data", str(tmp_path / "pictures")]
        assert cli.main(["eval", str(run), "--n", "10"]) == 2
        err = capsys.readouterr().err
        assert "--data" in err
        assert "photos" in err
    assert cli.main(["sample", str(run), "--n", "4", "--out", "s.png", *photos]) == 0
    assert cli.main(["score", str(run), str(photos[-1] if photos else project / "photos"), "--out", "s.csv"]) == 0
    assert cli.main(["eval", str(run), "--n", "10", "--metrics", "elbo", *photos]) == 0
    assert cli.main(["report", str(run), *photos]) == 0
    assert "There are no real images here" not in (run / "report.html").read_text()
    entry = str(run / "recipe" / "my_vae.py")
    assert cli.main(["train", entry, "--data", photos[-1] if photos else str(project / "photos"), *FLAGS,
                     "--steps", "6", "--run-dir", str(run)]) == 0  # fmt: skip
    assert runs.open_run(run).step == 6


@pytest.mark.slow
def test_the_same_data_under_another_spelling_continue_other_data_do_not(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    end = ["--run-dir", "runs/a"]
    for i, data in enumerate(["photos/", str(project / "photos"), "../proj/photos"], 5):
        assert cli.main(["train", "my_vae.py", "--data", data, *FLAGS, "--steps", str(i), *end]) == 0
    image = np.asarray(Image.open("photos/circle/3.png")).copy()
    image[0, 0] ^= 255
    Image.fromarray(image).save("photos/circle/3.png")
    before = tree(project / "runs")
    assert cli.main(["train", "my_vae.py", "--data", "photos", *FLAGS, "--steps", "9", *end]) == 2
    assert "circle/3.png has changed" in capsys.readouterr().err
    assert cli.main(["eval", "runs/a", "--n", "10"]) == 2
    assert "circle/3.png has changed" in capsys.readouterr().err
    assert tree(project / "runs") == before


@pytest.mark.parametrize("command", ["sample", "score", "eval", "extract", "report", "compare"])
def test_a_recipe_that_is_not_this_user_s_is_not_executed(project, tmp_path, monkeypatch, capsys, command):
    run, marker = project / "runs" / "a", tmp_path / "executed"
    entry = run / "recipe" / "my_vae.py"
    entry.write_text(entry.read_text() + f"\nopen({str(marker)!r}, 'w').close()\n")
    stored = json.loads((run / "config.json").read_text())
    stored["code"]["recipe"]["my_vae.py"] = hashlib.sha256(entry.read_bytes()).hexdigest()
    (run / "config.json").write_text(json.dumps(stored))
    photos = str(project / "photos")
    argv = {
        "sample": ["sample", str(run), "--n", "2", "--out", str(tmp_path / "s.png")],
        "score": ["score", str(run), photos, "--out", str(tmp_path / "s.csv")],
        "eval": ["eval", str(run), "--n", "10", "--metrics", "elbo"],
        "extract": ["extract", str(run), "--member", "0", "--out", str(tmp_path / "e")],
        "report": ["report", str(run), "--out", str(tmp_path / "r.html")],
        "compare": ["compare", str(run), str(run), "--out", str(tmp_path / "c.html")],
    }[command]
    executed = cli.main(argv)
    assert not marker.exists()
    assert executed == (0 if command == "report" else 2)  # a page says it in its problems
    if command not in ("report", "compare"):
        err = capsys.readouterr().err
        assert "recipe/my_vae.py would be executed" in err
        assert "--trust" in err
        cli.main([*argv, "--trust"])
        assert marker.exists()
    elif command == "report":
        assert "would be executed" in (tmp_path / "r.html").read_text()


def test_only_reading_executes_nothing(project, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "execute", lambda *a: pytest.fail("executed"))
    assert cli.main(["digest", str(project / "runs" / "a")]) == 0
    assert cli.main(["list"]) == 0
    assert cli.main(["doctor"]) == 0


def test_trust_is_about_contents(project, monkeypatch, tmp_path):
    run = project / "runs" / "a"
    assert runs.open_run(run).name == "my_vae"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other user"))
    with pytest.raises(UsageError, match="--trust"):
        runs.open_run(run)
    assert runs.load(run, trust=True)[2].hidden == 8
    with pytest.raises(UsageError, match="--trust"):  # once is not for ever
        runs.open_run(run)
    assert trust.note_trained(sources.read(run / "recipe" / "my_vae.py").sha256, run)
    assert runs.open_run(run).name == "my_vae"
    (run / "recipe" / "my_parts.py").write_text(PARTS.replace("1.0", "2.0"))
    with pytest.raises(UsageError, match=r"my_parts\.py: was changed since"):
        runs.open_run(run, trust=True)
    (run / "recipe" / "my_parts.py").unlink()
    with pytest.raises(UsageError, match=r"my_parts\.py: cannot be read"):
        runs.open_run(run, trust=True)


@pytest.mark.slow
def test_a_run_of_a_shipped_recipe_opens_after_genjax_has_changed_it(tmp_path, monkeypatch):
    """This user trained it here: an update of genjax that words its docstring anew takes nothing from them."""
    run = tmp_path / "run"
    assert cli.main(["train", "vae_digits", *FLAGS, "--run-dir", str(run)]) == 0
    monkeypatch.setattr(recipe_code.recipes, "shipped", lambda code: None)
    assert runs.open_run(run).name == "vae_digits"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other user"))
    with pytest.raises(UsageError, match="--trust"):
        runs.open_run(run)


def test_a_list_of_trained_recipes_that_cannot_be_written_is_said(project, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert cli.main(again(project, "--steps", "5")) == 0
    assert "will ask for --trust" in capsys.readouterr().err


@pytest.mark.parametrize(("line", "says"), [
    ("import missing_module_xyz", "No module named 'missing_module_xyz'"),
    ("open('missing.csv')", r"missing\.csv cannot be read"),
])  # fmt: skip
def test_what_a_recipe_lacks_on_this_machine_is_named(tmp_path, line, says):
    (tmp_path / "my_vae.py").write_text(f"{line}\n")
    known = sources.read(tmp_path / "my_vae.py")
    recipe_code.keep(tmp_path, known)
    with pytest.raises(UsageError, match=f"cannot be executed here: {says}.*\\n.*does not travel"):
        recipe_code.recipe_of(tmp_path, {"experiment": "my_vae", "code": recipe_code.described(known)}, trusted=True)


@pytest.mark.slow
def test_a_shipped_recipe_opens_anywhere_and_without_its_copy(tmp_path, monkeypatch):
    run = tmp_path / "run"
    assert cli.main(["train", "vae_digits", *FLAGS, "--run-dir", str(run)]) == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other user"))
    opened = runs.open_run(run)
    assert opened.name == "vae_digits"
    shutil.rmtree(run / "recipe")
    assert runs.open_run(run).recipe_sha256 == opened.recipe_sha256
    older = json.loads((run / "config.json").read_text())
    del older["code"], older["where"]
    older["experiment"] = "/somewhere/evil.py"
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "config.json").write_text(json.dumps(older))
    with pytest.raises(UsageError, match="--trust"):
        recipe_code.recipe_of(tmp_path / "older", older)


NAMES = {"not UTF-8": b"r\xff", "control": b"a\n\x1b[31mb", "long": b"x" * 250}


@pytest.mark.parametrize("kind", few(NAMES))
def test_a_run_s_folder_may_have_any_name(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    run = os.fsdecode(NAMES[kind])
    assert cli.main(["train", "vae_digits", *FLAGS, "--run-dir", run]) == 0
    assert cli.main(["sample", run, "--n", "2", "--out", "s.png"]) == 0
    assert cli.main(["digest", run]) == 0
    assert cli.main(["report", run, "--out", "page.html"]) == 0
    assert cli.main(["train", run, "--steps", "6"]) == 0
    assert runs.open_run(run).step == 6
    assert "\x1b[31m" not in capsys.readouterr().err


@pytest.mark.slow
def test_another_genjax_is_said_and_written_down(project, monkeypatch, capsys):
    run = project / "runs" / "a"
    monkeypatch.setattr(sources, "genjax_sha256", lambda: "f" * 64)
    assert cli.main(["sample", str(run), "--n", "2", "--out", "s.png"]) == 0
    assert "trained by another genjax" in capsys.readouterr().err
    assert cli.main(again(project)) == 0  # finished
    assert "genjax_sha256: was" in capsys.readouterr().err
    assert cli.main(again(project, "--steps", "6")) == 0
    assert "genjax_sha256: was" in capsys.readouterr().err
    last = json.loads((run / "manifest.json").read_text())["continued"][-1]
    assert any("genjax_sha256" in line for line in last["changed"])


@pytest.mark.slow
def test_unlike_codes_are_not_averaged_as_seeds(project, capsys):
    made = []
    for i, weight in enumerate(("1.0", "1.0", "3.0")):
        (project / "my_parts.py").write_text(PARTS.replace("1.0", weight))
        made.append(str(project / "runs" / f"s{i}"))
        argv = ["train", str(project / "my_vae.py"), "--data", str(project / "photos"), *FLAGS, "--seed", str(i)]
        assert cli.main([*argv, "--run-dir", made[-1]]) == 0
        assert cli.main(["eval", made[-1], "--n", "10", "--metrics", "elbo"]) == 0
    capsys.readouterr()
    assert cli.main(["compare", *made, "--out", str(project / "c.html")]) == 0
    out = capsys.readouterr().out
    assert "unlike code stand apart" in out
    assert len(out.splitlines()[0].split("  ")) > 1
    from genjax.report import versus

    sides = versus.sides(made)
    assert [len(s.records["elbo"].seeds) for s in sides] == [2, 0]
    assert len({s.name for s in sides}) == 2


def test_demo_after_an_edit_shows_no_picture_of_yesterday(project, monkeypatch, capsys):
    from genjax.cli.train import set_aside_another

    run = project / "runs" / "a"
    recipe = recipes.load(project / "my_vae.py")
    stored = json.loads((run / "config.json").read_text())["config"]
    cfg = recipe.Config(**stored)
    set_aside_another(run, recipe, cfg)
    assert run.exists()
    (project / "my_parts.py").write_text(PARTS.replace("1.0", "3.0"))
    set_aside_another(run, recipes.load(project / "my_vae.py"), cfg)
    assert not run.exists()
    assert (project / "runs" / "a-1" / "config.json").exists()
    assert "my_parts.py has changed" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("how", ["genjax train", "python"])
def test_a_recipe_with_a_neighbour_trains_either_way(project, child_env, how):
    import subprocess

    words = ["-m", "genjax", "train", "my_vae.py"] if how == "genjax train" else ["my_vae.py"]
    argv = [sys.executable, *words, "--data", "photos", *FLAGS, "--steps", "1", "--run-dir", f"runs/{how[:3]}"]
    done = subprocess.run(argv, cwd=project, env=child_env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (project / "runs" / how[:3] / "recipe" / "my_parts.py").exists()


def test_each_version_of_a_recipe_has_its_own_neighbours(tmp_path):
    """Two versions live in one process, also where the import happens late."""
    folders = []
    for i in range(2):
        folder = tmp_path / str(i)
        (folder / "pkg").mkdir(parents=True)
        (folder / "plain").mkdir()
        (folder / "pkg" / "__init__.py").write_text("from . import inner\nfrom .inner import X\n")
        (folder / "pkg" / "inner.py").write_text(f"X = {i}\nimport late\n")
        (folder / "plain" / "deep.py").write_text(f"Y = {10 + i}\n")
        (folder / "late.py").write_text(f"Z = {100 + i}\n")
        (folder / "named.py").write_text("import importlib as il\nN = il.import_module('beside').N\n")
        (folder / "beside.py").write_text(f"N = {1000 + i}\n")
        (folder / "my_vae.py").write_text(
            '"""Toy."""\nimport dataclasses, json\nimport pkg.inner\nfrom plain import deep\n'
            "from genjax import recipes\nfrom importlib import import_module\nfrom .late import Z\n"
            "Config = dataclasses.make_dataclass('Config', ['a'])\n"
            'base = recipes.load("vae_digits")\n'
            "def build(cfg, spec):\n    import late\n    return pkg.inner.X, deep.Y, late.Z, import_module('named').N\n"
        )
        folders.append(folder)
    modules = [recipes.load(folder / "my_vae.py") for folder in folders]
    first, second = (0, 10, 100, 1000), (1, 11, 101, 1001)
    assert [m.build(None, None) for m in [*modules, modules[0]]] == [first, second, first]
    names = {"my_vae.py", "pkg/__init__.py", "pkg/inner.py", "plain/deep.py", "late.py", "named.py", "beside.py"}
    assert set(modules[0].SOURCES.files) == {*names, f"{sources.SHIPPED}vae_digits.py"}
    assert not {"late", "named", "beside"} & set(sys.modules)
    assert recipes.load(folders[0] / "my_vae.py") is modules[0]
    (folders[0] / "late.py").write_text("Z = 7\n")
    assert recipes.load(folders[0] / "my_vae.py").build(None, None) == (0, 10, 7, 1000)


def test_modules_of_the_user_s_own_elsewhere_belong_to_the_recipe(tmp_path, monkeypatch):
    """On Python's path, or on a path that the recipe adds itself; its copy needs neither."""
    lib, pythonpath, experiments = (tmp_path / n for n in ("lib", "pythonpath", "experiments"))
    for folder in (lib / "common", pythonpath, experiments):
        folder.mkdir(parents=True)
    (lib / "common" / "__init__.py").write_text("from common.deep import D\n")
    (lib / "common" / "deep.py").write_text("D = 5\n")
    (pythonpath / "own_a.py").write_text("import own_b\nA = own_b.B\n")
    (pythonpath / "own_b.py").write_text("B = 6\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(pythonpath)])
    (experiments / "my_vae.py").write_text(
        f"import sys\nsys.path.append({str(lib)!r})\nimport common, own_a, numpy, json\nConfig = object\n"
        "def build(cfg, spec):\n    return common.D, own_a.A\n"
    )
    module = recipes.load(experiments / "my_vae.py")
    names = {"my_vae.py", "common/__init__.py", "common/deep.py", "own_a.py", "own_b.py"}
    assert set(module.SOURCES.files) == names
    assert recipes.load(experiments / "my_vae.py") is module
    for name in ("common", "common.deep"):
        sys.modules.pop(name, None)
    shutil.rmtree(lib)
    shutil.rmtree(pythonpath)
    copy = tmp_path / "copy"
    recipe_code.keep(copy, module.SOURCES)
    hashes = module.SOURCES.hashes()
    again = recipes.load_sources(sources.read_copy(copy / "recipe", "my_vae.py", hashes), copy / "recipe")
    assert again.build(None, None) == (5, 6)


def test_the_sources_of_a_broken_or_odd_recipe(tmp_path):
    path = tmp_path / "r.py"
    path.write_text("import missing_module_xyz\n")
    with pytest.raises(ModuleNotFoundError):
        recipes.load(path)
    assert not [m for m in sys.modules if m.startswith("genjax_experiments.r")]
    (tmp_path / "beside.py").write_text("")
    path.write_text("import importlib\nimportlib.import_module('be' + 'side')\n")
    with pytest.raises(UsageError, match=r"imports beside\.py by a name that is made .*\n.*`import beside`"):
        recipes.load(path)
    (tmp_path / "genjax").mkdir()
    (tmp_path / "genjax" / "data.py").write_text("")
    (tmp_path / "json").mkdir()  # a plain folder does not come before an installed package
    (tmp_path / "json" / "x.py").write_text("")
    path.write_text("from genjax import data\nimport json\nimport sys\n")
    assert set(sources.read(path).files) == {"r.py"}
    with pytest.raises(UsageError, match="cannot be read"):
        sources.read(tmp_path / "nothing.py")
    os.symlink("/etc/hostname", tmp_path / "x.py")
    with pytest.raises(UsageError, match="lies outside"):
        sources.read_copy(tmp_path, "x.py", {"x.py": ""})
    assert dataclasses.is_dataclass(trust.Access)
