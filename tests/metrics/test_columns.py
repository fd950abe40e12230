"""The quality of tables against SDMetrics, distances to the closest record, and classifiers trained on rows."""

import warnings

import numpy as np
import pytest

from genjax.data.columns import stored, typed
from genjax.metrics.closest_record import distance_to_closest
from genjax.metrics.columns import Rows, cramers_v, ks_distance, quality, total_variation
from genjax.metrics.train_synthetic import softmax_regression, target_of, train_test

N = 300


def made(seed, n=N, shift=0.0, missing=0.1):
    """Texts of a table with two numbers, two categories, values missing, a constant and an empty column."""
    random = np.random.RandomState(seed)
    kind = random.randint(0, 3, n)
    size = kind + random.standard_normal(n) + shift
    weight = 2 * size + random.standard_normal(n)
    sure = random.rand(n) < 0.7
    yes = np.where(sure, weight > 2, random.rand(n) < 0.5)
    gone = lambda: random.rand(n) < missing  # noqa: E731
    return {
        "kind": [("", "abc"[k])[not g] for k, g in zip(kind, gone(), strict=True)],
        "size": [("", f"{v:.2f}")[not g] for v, g in zip(size, gone(), strict=True)],
        "weight": [f"{v:.3f}" for v in weight],
        "one": ["7"] * n,
        "none": [""] * n,
        "yes": [("no", "yes")[int(v)] for v in yes],
    }


def rows(columns, texts):
    values = [stored(c, texts[c["name"]]) for c in columns]
    return Rows(np.stack([v.x for v in values], 1), np.stack([v.there for v in values], 1))


def two(seed=0, shift=0.3, missing=0.1):
    a, b = made(seed, missing=missing), made(seed + 1, shift=shift, missing=missing)
    columns = [typed(k, v) for k, v in a.items()]
    return columns, (a, b), tuple(rows(columns, t) for t in (a, b))


def frames(columns, pair):
    pd = pytest.importorskip("pandas")
    of = {"number": float, "category": object}
    found = []
    for texts in pair:
        data = {}
        for c in columns:
            if c["kind"] != "empty":
                data[c["name"]] = pd.Series(
                    [None if t == "" else of[c["kind"]](t) if c["kind"] == "number" else t for t in texts[c["name"]]]
                )
        found.append(pd.DataFrame(data))
    types = {"number": "numerical", "category": "categorical"}
    return found, {"columns": {c["name"]: {"sdtype": types[c["kind"]]} for c in columns if c["kind"] != "empty"}}


@pytest.mark.parametrize("least", [(0.0, 0.0), (0.5, 0.3)])
def test_quality_equals_sdmetrics(least):
    """With every pair, as published scores are, and with its report's own thresholds today."""
    pytest.importorskip("sdmetrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sdmetrics.reports.single_table import QualityReport

        columns, texts, (real, fake) = two()
        (a, b), metadata = frames(columns, texts)
        report = QualityReport()
        report.real_correlation_threshold, report.real_association_threshold = least
        report.generate(a, b, metadata, verbose=False)
        shapes = report.get_details("Column Shapes").set_index("Column")["Score"]
        trends = report.get_details("Column Pair Trends").set_index(["Column 1", "Column 2"])["Score"].dropna()
    found = quality(columns, real, fake, *least)
    assert set(found.shapes) == set(shapes.index)
    for name, value in found.shapes.items():
        assert value == pytest.approx(shapes[name], abs=2e-6), name
    assert set(found.trends) == set(trends.index)
    for pair, value in found.trends.items():
        assert value == pytest.approx(trends[pair], abs=2e-6), pair
    assert found.score == pytest.approx(report.get_score(), abs=2e-6)


def test_equal_tables_are_alike_and_strange_ones_are_not():
    columns, _, (real, _) = two()
    assert quality(columns, real, real).score == pytest.approx(1)
    away = Rows(real.x + 100, real.there)
    found = quality(columns, real, away)
    assert found.shapes["size"] == pytest.approx(0)
    assert found.trends["size", "weight"] == pytest.approx(1)  # a shift keeps correlations


def test_kolmogorov_smirnov_equals_scipy():
    from scipy.stats import ks_2samp

    random = np.random.RandomState(0)
    a, b = np.round(random.standard_normal(200), 1), np.round(random.standard_normal(150) + 0.3, 1)
    assert ks_distance(a, b) == pytest.approx(ks_2samp(a, b).statistic)


def test_cramers_v_equals_scipy():
    from scipy.stats.contingency import association

    random = np.random.RandomState(0)
    a, b = random.randint(0, 3, 200), random.randint(0, 4, 200)
    b = np.where(random.rand(200) < 0.5, a, b)
    table = np.zeros((3, 4), int)
    np.add.at(table, (a, b), 1)
    assert cramers_v(a, b) == pytest.approx(association(table, method="cramer"))


def test_total_variation_of_two_coins():
    assert total_variation(np.array([0, 1]), np.array([0, 0, 0, 1])) == pytest.approx(0.25)


def test_distance_to_closest_equals_sdmetrics():
    pytest.importorskip("sdmetrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr

        columns, texts, (real, fake) = two()
        (a, b), metadata = frames(columns, texts)
        expected = calculate_dcr(b, a, metadata).to_numpy(float)
    np.testing.assert_allclose(distance_to_closest(columns, fake, real), expected, atol=1e-6)


def test_copies_are_at_distance_zero():
    columns, _, (real, _) = two()
    some = Rows(real.x[:7], real.there[:7])
    assert (distance_to_closest(columns, some, real) == 0).all()


def test_train_on_synthetic_equals_sdmetrics(monkeypatch):
    pytest.importorskip("sdmetrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sdmetrics.single_table import BinaryLogisticRegression

        # its optimizer stops after 100 iterations, short of the optimum
        monkeypatch.setattr(BinaryLogisticRegression, "MODEL_KWARGS", {"max_iter": 10_000, "tol": 1e-10})
        columns, texts, (test, train) = two(missing=0.0)
        (a, b), _ = frames(columns, texts)
        # which of the two classes is the first depends on the test rows' order there: make it ours
        first = columns[-1]["categories"][0]
        order = np.argsort((a["yes"] != first).to_numpy(), kind="stable")
        expected = BinaryLogisticRegression.compute(a.iloc[order].reset_index(drop=True), b, target="yes")
    found = train_test(columns, train, test, target_of(columns))
    assert found.f1 == pytest.approx(expected, abs=1e-9)
    assert 0.7 < found.accuracy < 1


@pytest.mark.parametrize("k", [2, 3])
def test_softmax_regression_equals_scikit_learn(k):
    linear_model = pytest.importorskip("sklearn.linear_model")
    random = np.random.RandomState(0)
    x = random.standard_normal((200, 4))
    y = (x[:, :k] + random.standard_normal((200, k))).argmax(1)
    found = softmax_regression(x, y, k, 1.0)
    model = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(x, y)
    logits = np.c_[x, np.ones(200)] @ found
    e = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(e / e.sum(1, keepdims=True), model.predict_proba(x), atol=1e-4)


def test_a_better_table_trains_a_better_classifier():
    columns, _, (real, fake) = two(shift=0.0)
    target = target_of(columns)
    random = np.random.RandomState(0)
    noise = Rows(np.stack([random.permutation(c) for c in fake.x.T], 1), fake.there)
    good, bad = (train_test(columns, rows, real, target).accuracy for rows in (fake, noise))
    assert good > bad + 0.1
    one = Rows(np.where(np.arange(6) == 5, 0, fake.x), fake.there)  # a generator of one class alone
    assert train_test(columns, one, real, target).accuracy == pytest.approx((real.x[:, 5] == 0).mean())
