"""Each finding is provoked by numbers, and numbers of a healthy run provoke none: the judges are pure functions."""

import math

import numpy as np
import pytest

from genjax.health import TITLES, budget, first_nonfinite, judge
from genjax.health.diversity import Compared
from genjax.health.finding import Finding, folded, found, share_of
from genjax.health.messages import MOST, Telling

VAE = {"step": 1000, "rate": 6.0, "elbo": -23.0, "distortion": 17.0, "beta": 1.0, "grad_norm": 3.0,
       "update_norm": 0.02, "param_norm": 20.0}  # fmt: skip
GAN = {"step": 1000, "d/loss": 1.34, "d/penalty": 0.01, "d/real_logit": 0.1, "d/fake_logit": -0.1,
       "d/real_probability": 0.52, "d/fake_probability": 0.48, "d/grad_norm": 0.1, "d/update_norm": 0.02,
       "d/param_norm": 20.0, "g/loss": 0.7, "g/grad_norm": 0.1, "g/update_norm": 0.02,
       "g/param_norm": 20.0}  # fmt: skip
CRITIC = {"step": 1000, "d/loss": -180.0, "d/penalty": 2.0, "d/real_logit": -300.0, "d/fake_logit": -480.0}


def codes(findings):
    return [f.code for f in findings]


@pytest.mark.parametrize("row", [VAE, GAN, CRITIC, {**GAN, "d/skipped": 0.01}])
def test_healthy_rows_are_silent(row):
    assert judge.of_row(row) == []


@pytest.mark.parametrize(
    ("row", "change", "code", "where"),
    [
        (VAE, {"rate": 0.03}, "posterior_collapse", "rate"),
        (VAE, {"grad_norm": 1e-9}, "gradient_vanishes", "grad_norm"),
        (VAE, {"update_norm": 4.0}, "updates_too_large", "update_norm"),
        (VAE, {"update_norm": 1e-7}, "updates_too_small", "update_norm"),
        (VAE, {"skipped": 0.3}, "updates_skipped", "skipped"),
        (GAN, {"d/real_logit": 400.0, "d/fake_logit": -20.0}, "logits_explode", "d/real_logit"),
        (CRITIC, {"d/real_logit": -3e5}, "logits_explode", "d/real_logit"),
        (GAN, {"d/real_logit": 0.02, "d/fake_logit": 0.02001}, "logits_vanish", "d/real_logit"),
        (GAN, {"d/loss": 0.012}, "discriminator_wins", "d/loss"),
        (GAN, {"d/loss": 0.302, "d/penalty": 0.3}, "discriminator_wins", "d/loss"),
        (GAN, {"g/grad_norm": 0.0}, "gradient_vanishes", "g/grad_norm"),
        (GAN, {"g/update_norm": 9.0}, "updates_too_large", "g/update_norm"),
    ],
)
def test_a_row_provokes(row, change, code, where):
    found = judge.of_row({**row, **change})
    assert [(f.code, f.where) for f in found] == [(code, where)]
    assert found[0].says
    assert found[0].try_
    assert code in TITLES
    assert judge.of_row({**row, **change, "step": judge.SETTLED - 1}) == []  # a fresh model is not judged


def test_numbers_that_are_not_finite_do_not_confuse_the_rows():
    for value in (math.nan, math.inf, -math.inf):
        for row in (VAE, GAN):
            judge.of_row({k: value if k != "step" else v for k, v in row.items()})


def vae_probe(n_active, z=16):
    on = np.arange(z) < n_active
    return {"active": np.where(on, 0.8, 1e-4), "rate": np.where(on, 1.0, 1e-3), "dead": np.array([0.1, 0.0])}


LEAVES = ("vae/encoder/layers/0/bias", "vae/decoder/layers/0/bias")


@pytest.mark.parametrize(("n", "severity"), [(16, None), (2, None), (1, "warning"), (0, "serious")])
def test_idle_latents(n, severity):
    found = judge.of_probe(vae_probe(n), LEAVES)
    assert [(f.code, f.severity) for f in found] == ([] if severity is None else [("posterior_collapse", severity)])
    assert all(f"{n} of 16" in f.says for f in found)


@pytest.mark.parametrize(("share", "severity"), [(0.4, None), (0.6, "warning"), (1.0, "serious")])
def test_dead_units_are_named(share, severity):
    found = judge.of_probe({**vae_probe(12), "dead": np.array([0.1, share])}, LEAVES)
    want = [] if severity is None else [("dead_units", severity, LEAVES[1])]
    assert [(f.code, f.severity, f.where) for f in found] == want


def gan_probe(train, held, fake, error=0.05, sd=0.8):
    return {"train_logit": train, "held_logit": held, "fake_logit": fake, "standard_error": error, "logit_sd": sd}


@pytest.mark.parametrize(
    ("values", "want"),
    [
        (gan_probe(0.5, 0.45, -0.5), []),
        (gan_probe(0.06, 0.01, -0.02), []),  # a gap, but within its error
        (gan_probe(3.0, 2.0, -3.0), []),
        (gan_probe(3.0, -1.0, -3.0), ["discriminator_overfits"]),
        (gan_probe(0.001, 0.001, 0.00101, sd=1e-5), ["logits_vanish"]),
        ({k: v for k, v in gan_probe(3.0, -1.0, -3.0).items() if k not in ("held_logit", "standard_error")}, []),
    ],
)
def test_a_discriminator_seen_from_within(values, want):
    assert codes(judge.of_probe(values)) == want


def test_a_condition_must_hold():
    bad = [Finding("posterior_collapse", "serious", "rate", 0.0, "says")]
    assert judge.judge([bad, bad], 3) == []
    assert judge.judge([bad, [], bad], 3) == []
    assert judge.judge([[], bad, bad, bad], 3) == bad
    sure = [bad[0]._replace(sure=True)]
    assert judge.judge([sure], 3) == sure
    assert judge.judge([sure, []], 3) == []


BAD = Finding("posterior_collapse", "serious", "rate", 0.0, "says", "this")


def codes_of_each(telling, history):
    return [codes(telling.see("rows", found)) for found in history]


def test_a_finding_is_told_when_it_begins_and_when_it_is_over():
    telling = Telling()
    assert codes_of_each(telling, [[BAD]] * 6) == [[], [], ["posterior_collapse"], [], [], []]
    assert codes_of_each(telling, [[]] * 4) == [[], [], ["posterior_collapse"], []]
    assert telling.open == {}


def test_what_comes_and_goes_is_told_a_few_times():
    said = codes_of_each(Telling(), ([[BAD]] * 3 + [[]] * 3) * 10)
    assert sum(map(len, said)) == 2 * MOST


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_resumed_run_tells_what_the_uninterrupted_one_tells(cut):
    history = ([[BAD]] * 3 + [[]] * 3 + [[BAD]]) * 6
    whole = codes_of_each(Telling(), history)
    head = Telling()
    first = codes_of_each(head, history[:cut])
    assert first + codes_of_each(Telling(head.stored()), history[cut:]) == whole


def test_a_healthy_run_has_nothing_to_store():
    telling = Telling()
    telling.see("rows", [])
    assert telling.stored() == {}


def test_members_that_share_a_finding_are_told_together():
    both = folded([(0, BAD), (3, BAD._replace(value=1.0)), (1, BAD._replace(where="latents"))])
    assert [(f.where, f.members) for f in both] == [("rate", (0, 3)), ("latents", (1,))]
    assert both[0].line(700) == "health, step 700: members 0, 3: says Try this."
    stored = [f.stored() for f in both]
    assert [found(s) for s in stored] == both
    assert share_of(stored, 3) == [BAD.stored()]
    assert share_of(stored, 2) == []


def test_the_first_that_is_not_finite_is_found_and_named():
    values = {"d/loss": np.array([1.0, 1.0, np.nan]), "d/grad_norm": np.array([1.0, np.inf, np.nan]),
              "g/loss": np.array([np.nan, 1.0, np.nan])}  # fmt: skip
    bad = first_nonfinite.first_bad(10, values, lambda name, at: name != "g/loss" or at % 2 == 1)
    assert (bad.step, bad.names, bad.only_norms) == (11, ("d/grad_norm",), True)
    assert bad.row == {"d/loss": 1.0, "d/grad_norm": math.inf, "g/loss": 1.0}
    finding = first_nonfinite.of_steps(bad, ["d", "g"], [])
    assert finding.says.startswith("The first number that is not finite: d/grad_norm is inf, in step 12 (a length")
    and_g = bad._replace(names=("d/update_norm", "g/loss"), row=bad.row | {"d/update_norm": math.inf, "g/loss": np.nan})
    assert "(a length, while every loss term of the move 'd'" in first_nonfinite.of_steps(and_g, ["d", "g"], []).says
    spared = first_nonfinite.of_steps(bad, ["d", "g"], ["d"])
    assert (spared.severity, "guard skipped" in spared.says) == ("warning", True)
    assert first_nonfinite.first_bad(0, {"loss": np.ones(3)}, lambda *_: True) is None


def test_a_term_is_named_before_its_sum():
    assert first_nonfinite.culprits(["loss", "elbo", "distortion", "grad_norm"], ["vae"]) == ["distortion"]
    assert first_nonfinite.culprits(["loss", "grad_norm"], ["vae"]) == ["loss"]
    assert first_nonfinite.culprits(["g/loss", "d/real_logit", "d/loss"], ["d", "g"]) == ["d/real_logit"]


def test_the_budget_follows_the_measured_cost():
    """A clock that stands still but for what is spent: the share never passes 2 %, whatever a probe costs."""
    now, cost, log = [0.0], 3.0, []
    b = budget.Budget(lambda: now[0])
    now[0] = 5.0
    b.started()
    for i in range(20_000):
        if b.due():
            with b.paid():
                now[0] += cost
            b.probed(*((cost - 0.05, 0.05) if b.probes == 0 else (0.0, cost)))
            cost = 0.02 + 0.1 * (i % 7 == 0)
            log.append(now[0])
            assert b.share <= budget.SHARE + (3.0 if len(log) == 1 else 0.12) / now[0]
        now[0] += 0.1
    assert len(log) > 100
    assert 0.015 < b.share <= budget.SHARE


SKEWED = [({"kinds": 0.6}, "collapse of some kinds"), ({"kinds": 0.3}, "collapse:"),
          ({"kinds": 0.6, "spread": 0.3}, "collapse:")]  # fmt: skip


@pytest.mark.parametrize(("low", "says"), SKEWED)
def test_shares_a_little_off_are_no_collapse_to_few_images(low, says):
    usual = dict.fromkeys(("spread", "distinct", "nearest", "kinds"), 0.99)
    diversity = {k: Compared(v, 1.0, 0.9) for k, v in (usual | low).items()}
    (found,) = judge.of_pictures(2000, {"far": 1.0, "beyond": 0.0}, diversity)
    assert says in found.says
