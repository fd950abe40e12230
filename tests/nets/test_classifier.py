"""The classifier and its training: shapes, features, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal, quick_jit

from genjax import data, models, nets, objectives, recipes
from genjax.metrics import features
from genjax.types import Batch, Context


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (9, 7, 3)], ids=str)
def test_shapes(shape):
    net = nets.classifier(shape, 5, width=6)
    params, state = jax.eval_shape(net.init, jax.random.key(0))
    (features, logits), after = jax.eval_shape(net.apply, params, state, jax.ShapeDtypeStruct((3, *shape), "float32"))
    assert (features.shape, logits.shape) == ((3, 24), (3, 5))
    assert jax.tree.structure(after) == jax.tree.structure(state)


@pytest.mark.slow
def test_features_are_not_negative_and_logits_linear_in_them():
    net = nets.classifier((8, 8, 1), 5, width=6)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = normal(1, (3, 8, 8, 1))
    (features, logits), same = quick_jit(net.apply)(params, state, x)
    assert (np.asarray(features) >= 0).all()
    np.testing.assert_allclose(
        logits, features @ params["logit"]["kernel"] + params["logit"]["bias"][None], rtol=1e-5, atol=1e-6
    )
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), state, same))
    _, after = quick_jit(lambda p, s, x: net.apply(p, s, x, train=True))(params, state, x)
    assert not np.allclose(after["norms"]["0"]["mean"], state["norms"]["0"]["mean"])
    assert net.couples_examples


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="n_classes=1"):
        nets.classifier((8, 8, 1), 1)


@pytest.mark.slow
def test_the_objective_is_the_mean_cross_entropy_over_the_mask():
    model = models.Classifier(nets.classifier((8, 8, 1), 3, width=4), 3)
    params, state = quick_jit(model.init)(jax.random.key(0))
    x = normal(1, (4, 8, 8, 1))
    batch = Batch(x, jnp.array([0, 1, 2, 0]), mask=jnp.array([True, True, False, False]))
    ctx = Context(state, jax.random.key(2), jnp.zeros((), jnp.int32))
    loss, aux = quick_jit(objectives.classifier(model))(params, batch, ctx)
    outputs = quick_jit(lambda p, s, x: model.outputs(p["classifier"], s["classifier"], x, train=True)[0])
    logits = outputs(params, state, x)[1]
    log_p = np.asarray(jax.nn.log_softmax(logits))
    assert float(loss) == pytest.approx(-(log_p[0, 0] + log_p[1, 1]) / 2, rel=1e-5)
    right = np.asarray(logits).argmax(1)[:2] == [0, 1]
    assert float(aux.metrics["accuracy"]) == right.mean()
    with pytest.raises(ValueError, match="this batch has none"):
        objectives.classifier(model)(params, batch._replace(y=None), ctx)


@pytest.mark.slow
def test_the_recipe_trains_and_its_file_is_the_net(tmp_path):
    """A few steps on digits through the committed script, and the file it writes."""
    recipe = recipes.load(recipes.folder() / "_features.py")
    assert {n: c.width for n, c in recipe.CONFIGS.items()} == {n: s.width for n, s in features.SHIPPED.items()}
    recipe.run("digits", 3, tmp_path, steps=60)
    net = features.from_file("digits", tmp_path / "digits-3.safetensors")
    digits = data.load("digits")
    assert recipe.accuracy(net, digits.test) > 0.3
    part, held_out = recipe.split(digits.train, 300)
    assert len(part.x) == 1200
    np.testing.assert_array_equal(held_out.y, digits.train.y[1200:])
