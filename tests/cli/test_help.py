"""What `--help` prints, and what a command says where something that it needs is left out."""

import pytest

from genjax import cli, recipes
from genjax.cli import compare, features, help, measure, plan, sample, score, show, train, use
from genjax.cli.fields import fields_of

FLAGS = {
    "demo": train.Demo, "train": train.Several, "sample": sample.Sample, "score": score.Score, "eval": measure.Eval,
    "compare": compare.Compare, "report": use.Report, "digest": use.Digest, "extract": use.Extract,
    "plan": plan.PlanFlags, "results": cli.importlib.import_module("genjax.cli.results").Results,
    "features import": features.Import, "list": show.List, "doctor": show.Doctor,
}  # fmt: skip
"""The dataclass of each command."""
REQUIRED = [
    (command, f.name)
    for command, kind in FLAGS.items()
    for f in fields_of([kind]).values()
    if f.required and not f.several
]


def printed(argv, capsys):
    """What a command that leaves with 0 prints."""
    try:
        code = cli.main(argv)
    except SystemExit as e:
        code = e.code
    assert code == 0
    return capsys.readouterr().out


def test_every_command_is_here():
    assert {c.split()[0] for c in FLAGS} == set(cli.COMMANDS)
    assert len(REQUIRED) >= 9


@pytest.mark.parametrize(("command", "left_out"), REQUIRED)
def test_only_what_is_missing_is_named(command, left_out, capsys):
    flags = fields_of([FLAGS[command]]).values()
    words, needed = [], [f for f in flags if f.required]
    for f in needed:
        if f.name != left_out:
            words += ["x"] if f.positional else [f.shown, "x.png"]
    named = next(f.shown for f in needed if f.name == left_out)
    places = [f.shown for f in needed if f.positional]
    if named in places:  # which of two places is empty nobody can see: the last
        named = places[-1]
    assert cli.main([*command.split(), *words]) == 2
    err = capsys.readouterr().err
    assert f"missing: {named}." in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("columns", [60, 120])
@pytest.mark.parametrize("command", [*FLAGS, "train vae_digits", "plan gan_digits"])
def test_help_is_one_text_however_it_is_asked_for_and_fits(command, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    words = command.split()
    out = printed([*words, "--help"], capsys)
    assert out == printed([*words, "-h"], capsys) == printed(["help", *words], capsys)
    assert out.startswith(f"usage: genjax {command}")
    assert out.count("\noptions:\n") <= 1
    for quirk in ("one of ,", "{,", "│", "{None}", "STR", "default: None", "default: False", "(required)"):
        assert quirk not in out
    body = out.split("\n\n", 1)[1]
    assert max(map(len, body.splitlines())) <= columns


def test_the_general_help_fits_too(monkeypatch, capsys):
    for columns in (60, 80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        out = printed(["help"], capsys)
        assert max(map(len, out.splitlines())) <= columns
        assert all(f"\n  {name} " in out for name in cli.COMMANDS)
        assert ("RUN DATA --out" in out) == (columns == 120)


@pytest.mark.parametrize("name", ["vae_digits", "gan_fashion_mnist"])
def test_a_recipe_s_docstring_keeps_its_lines(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    out = printed(["train", name, "--help"], capsys)
    assert recipes.docstring(recipes.find(name)) in out
    for title in (f"the recipe's own ({name}):", "several runs at once:", "the run:"):
        assert f"\n{title}\n" in out
    assert "can be swept" in out
    assert out.index("--lr") < out.index("--seeds") < out.index("--run-dir")


def test_a_label_s_text_is_folded_under_itself_and_prose_by_the_paragraph(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    folded = help.fold_wide_lines("Command:  genjax train a_recipe with several words\nMore:  text")
    assert folded.splitlines() == ["Command:  genjax train a_recipe with", "          several words", "More:  text"]
    prose = help.fold_wide_lines("one two three four five six seven eight nine ten\neleven twelve")
    assert prose.splitlines() == ["one two three four five six seven eight", "nine ten eleven twelve"]


@pytest.mark.parametrize(("word", "says"), [("nonsense", "no such command. `"), ("trian", "Did you mean train")])
def test_help_of_no_command(word, says, capsys):
    assert cli.main(["help", word]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"genjax: {word}: there is no such command.")
    assert says in err
