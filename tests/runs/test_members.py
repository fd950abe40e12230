"""Who is in a population: parsed, checked, named, stored."""

from dataclasses import dataclass

import pytest

from genjax import runs
from genjax.errors import UsageError
from genjax.runs.members import flags_of, members_of, read_members, with_traced


@dataclass(frozen=True)
class Config:
    seed: int = runs.structural(3, ge=0)
    steps: int = runs.resumable(10, ge=1)
    width: int = runs.structural(8, ge=1)
    lr: float = runs.sweepable(1e-3, gt=0)
    beta: float = runs.sweepable(1.0, ge=0, le=10)
    k: int = runs.sweepable(5, ge=1)

    __post_init__ = runs.check


def test_points_times_seeds_seeds_fastest():
    members = members_of(Config(width=4), 2, "beta=0.5,2 ; lr=1e-3,1e-4")
    assert members.n == 8
    assert [(c.beta, c.lr, c.seed) for c in members.configs] == [
        (b, lr, s) for b in (0.5, 2.0) for lr in (1e-3, 1e-4) for s in (3, 4)
    ]
    assert all(c.width == 4 for c in members.configs)
    assert members.name(7) == "member 7 (beta 2, lr 0.0001, seed 4)"
    assert members.points[1] == {"beta": 0.5, "lr": 1e-4}
    assert members.columns()["beta"] == [0.5] * 4 + [2.0] * 4


def test_one_seed_and_no_sweep_is_a_single_run():
    assert members_of(Config()) is None
    assert members_of(Config(), 1, "beta=2").configs == (Config(beta=2.0),)


def test_stored_and_read_and_asked_for_again():
    members = members_of(Config(), 2, "k=1,2")
    assert members.stored() == {"seeds": [3, 4], "sweep": {"k": [1, 2]}}
    assert read_members(members.configs[0], members.stored()) == members
    assert read_members(Config(), None) is None
    assert flags_of(members.stored()) == ["--seeds=2", "--sweep=k=1,2"]
    assert members.flags() == "--seeds=2 --sweep=k=1,2"


@pytest.mark.parametrize(
    ("seeds", "sweep", "says"),
    [
        (0, "", "--seeds=0: must be at least 1"),
        (1, "beta", "FIELD=VALUE,VALUE, for example lr="),
        (1, "beta=", "FIELD=VALUE"),
        (1, "bata=1", "no field bata. Did you mean beta? Fields that can be swept: lr, beta, k."),
        (1, "width=4,8", "width shapes the program or the data"),
        (1, "steps=1,2", "steps says how far to train"),
        (1, "seed=1,2", "Use --seeds N"),
        (1, "beta=1,x", "'x' is not a number"),
        (1, "k=1,2.5", "'2.5' is not a whole number"),
        (1, "beta=1,,2", "'nothing' is not a number"),
        (1, "beta=1,1.0", "there twice"),
        (1, "beta=1;beta=2", "swept twice"),
        (1, "lr=1e39", "lr=1e+39: must be a float greater than 0, and 1e-38 to 3e+38 in size"),
        (1, "lr=1e-46", "lr=1e-46: must be"),
        (1, "beta=1,11", "beta=11.0: must be a float at least 0 at most 10"),
        (1, "beta=nan", "finite"),
    ],
)
def test_refusals(seeds, sweep, says):
    with pytest.raises(UsageError) as e:
        members_of(Config(), seeds, sweep)
    assert says in str(e.value)


def test_seeds_end_where_32_bits_do():
    with pytest.raises(UsageError, match="seed=2147483648"):
        members_of(Config(seed=2**31 - 1), 2)


def test_a_swept_field_is_not_set_besides():
    with pytest.raises(UsageError, match="beta is set by --beta=4 too"):
        members_of(Config(beta=4.0), 1, "beta=1,2")


def test_a_member_is_asked_for_by_number():
    members = members_of(Config(), 3)
    assert members.check(2, "R") == 2
    with pytest.raises(UsageError, match=r"R is a population of 3(.|\n)*--member(.|\n)*member 2 \(seed 5\)"):
        members.check(None, "R")
    with pytest.raises(UsageError, match="--member=3: there is no such member"):
        members.check(3, "R")
    with pytest.raises(UsageError, match=r"and 84 more"):
        members_of(Config(), 100).check(-1, "R")


def test_traced_values_pass_the_check():
    assert with_traced(Config(), {"lr": "anything"}).lr == "anything"
    assert Config().lr == 1e-3
