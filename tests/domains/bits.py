"""Binary strings of a Markov chain, 6 to 12 long: a kind of data of one's own in a file.   genjax train bits.py"""

from dataclasses import dataclass

import numpy as np
import optax

from genjax import data, models, nets, objectives, runs, train
from genjax.data.examples import dataset
from genjax.domains.contract import Domain, Finished, Text
from genjax.metrics.spaces import Space


def read(what):
    """The data set `chain`; None for any other name."""
    if what != "chain":
        return None
    random = np.random.RandomState(0)
    mask = np.arange(12) < random.randint(6, 13, (400, 1))
    strings = (np.cumsum(random.rand(400, 12) < 0.2, axis=1) % 2 * mask).astype(np.uint8)
    parts = (data.Examples(strings[s], None, mask[s]) for s in (slice(300), slice(300, None)))
    return dataset("chain", *parts, (), domain="bits", n_values=2)


def lines(examples):
    mask = np.ones(examples.x.shape, bool) if examples.event_mask is None else examples.event_mask
    return tuple("".join(map(str, x[m])) for x, m in zip(examples.x, mask, strict=True))


def finish(x, spec):
    return Finished(data.Examples((np.nan_to_num(x) > 0.5).astype(np.uint8)), np.isfinite(x).all(1))


BITS = Domain(
    name="bits", one="string", many="strings", finish=finish, read=read,
    show=lambda examples, spec, ncols, close: [Text(lines(examples))],
    glance=lambda examples, spec: "\n".join(lines(examples)),
    save={".txt": lambda examples, spec, how: "\n".join(lines(examples)).encode()},
    vector=lambda examples, spec: examples.x.astype(np.float32),
    space=lambda name, spec: Space("bits", "", lambda x, mask=None: x.astype(np.float32)),
)  # fmt: skip


@dataclass(frozen=True)
class Config(runs.VaeConfig):
    domains = (BITS,)
    data: str = "chain"
    z_dim: int = 2


SMOKE = Config(steps=4, batch_size=8)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    encoder = nets.unmasked(nets.mlp_encoder(spec.shape, 2 * cfg.z_dim, (32,)))
    vae = models.VAE(encoder, nets.mlp_decoder(cfg.z_dim, spec.shape, (32,)), cfg.z_dim)
    step = train.make_step(train.Move("vae", objectives.vae(vae), optax.adam(cfg.lr)))
    return runs.Experiment(vae, step, data.as_bits(), objectives.score_vae(vae))
