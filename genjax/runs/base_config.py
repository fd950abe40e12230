"""The fields that recipes have in common. A recipe's `Config` inherits them, sets its own defaults and adds its own.

A plain default in a subclass changes the default alone; kind, bounds, choices and help stay as they are inherited:

    @dataclass(frozen=True)
    class Config(runs.BetaVaeConfig):
        steps: int = 6000
        hidden: int = runs.structural(256, ge=1)  # units of the hidden layer

A recipe takes the base all of whose fields it reads, because a flag that changes nothing would mislead.
"""

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any, ClassVar

from genjax import distributions, losses
from genjax.data.text import CUTS, UNITS
from genjax.runs.config import check, resumable, structural, sweepable


def _inherited(cls: type, name: str) -> Any:
    """The field of that name in the nearest base, None where there is none."""
    known = (dataclasses.fields(base) for base in cls.__mro__[1:] if dataclasses.is_dataclass(base))
    return next((field for fields in known for field in fields if field.name == name), None)


def _keep_marks(cls: type) -> None:
    """Give each field that a class declares anew the marks of the one it inherits, unless it brings its own.

    Raises:
        TypeError: a default without a type, which a dataclass would silently ignore.
    """
    if "__dataclass_fields__" in vars(cls):  # made once more, for its slots
        return
    own = inspect.get_annotations(cls)
    for name in {*own, *vars(cls)}:
        field = _inherited(cls, name)
        if field is None:
            continue
        default = vars(cls).get(name, field.default)
        if name not in own:
            kind = type(default).__name__
            raise TypeError(f"{cls.__name__}.{name} has no type: write `{name}: {kind} = {default!r}`.")
        if isinstance(default, dataclasses.Field):
            continue
        if type(field.default) is float and type(default) is int:
            default = float(default)
        setattr(cls, name, dataclasses.field(default=default, metadata=field.metadata))


@dataclass(frozen=True)
class Config:
    """What every recipe says of a run; each field is a flag of `genjax train`.

    `domains` and `reads` are no fields, and are set without a type: the kinds of data that the recipe takes, names of
    `genjax.domains` or a `Domain` of its own; and the names of fields that say how the data are read.
    """

    domains: ClassVar[tuple[Any, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()

    seed: int = structural(0, ge=0)  # of all that is random: same seed, same run
    steps: int = resumable(10_000, ge=1)  # optimizer updates
    batch_size: int = structural(64, ge=1)  # examples in a step
    z_dim: int = structural(32, ge=1)  # latent dimensions
    data: str = structural("digits")  # embedded or TFDS name, a folder, or a file
    image_size: int = structural(0, ge=0)  # resize and crop images to this many pixels; 0: as they are
    validation: int = structural(0, ge=0)  # training examples held out, to choose the best checkpoint by
    conditional: bool = structural(False)  # the label enters the nets
    precision: str = structural("f32", choices=("f32", "bf16"))  # what the networks compute in
    accumulate: int = structural(1, ge=1)  # parts of a batch computed in turn: less memory; batch norm is over a part

    __post_init__ = check

    def __init_subclass__(cls, **more: Any):
        super().__init_subclass__(**more)
        _keep_marks(cls)


@dataclass(frozen=True)
class VaeConfig(Config):
    """The fields of every autoencoder that is trained by a likelihood."""

    likelihood: str = structural("", distributions.LIKELIHOODS)  # of a pixel; empty: chosen by the data
    lr: float = sweepable(1e-3, gt=0)  # Adam's learning rate


@dataclass(frozen=True)
class BetaVaeConfig(VaeConfig):
    """The fields of `objectives.beta_vae`."""

    beta: float = sweepable(1.0, ge=0)  # weight of the rate
    warm_up: int = structural(0, ge=0)  # steps over which beta grows from 0
    free_bits: float = structural(0.0, ge=0)  # nats a latent dimension may cost for nothing


@dataclass(frozen=True)
class GanConfig(Config):
    """The fields of every two-player game: the loss, the discriminator's penalty, Adam, the generator's average."""

    steps: int = 10_000  # generator updates
    z_dim: int = 64
    loss: str = structural("relativistic", losses.LOSSES)  # the adversarial game
    penalty: str = structural("r1_r2", losses.PENALTIES)  # of the discriminator's slope
    lr: float = sweepable(5e-4, gt=0)  # Adam's learning rate, both players
    gamma: float = sweepable(1.0, ge=0)  # weight of R1 and R2
    weight: float = sweepable(10.0, ge=0)  # of gradient_penalty and dragan
    ema_half_life: float = structural(20_000.0, gt=0)  # of the generator's average, in examples


@dataclass(frozen=True)
class ProseConfig(Config):
    """The fields of every recipe of prose: how texts are cut into examples, and what a symbol is."""

    domains = ("prose",)
    reads = ("length", "cut", "unit")

    data: str = "psalms"
    length: int = structural(64, ge=2)  # symbols of an example
    cut: str = structural("lines", CUTS)  # what an example is: a line, or a window of the text
    unit: str = structural("character", UNITS)  # what a symbol is
