"""Networks: NNX modules turned into pure functions. The only room that imports flax."""

from genjax.nets.compute import compute as compute
from genjax.nets.conv import conv as conv
from genjax.nets.conv import conv_transpose as conv_transpose
from genjax.nets.functional import functional as functional
from genjax.nets.image import conv_decoder as conv_decoder
from genjax.nets.image import conv_encoder as conv_encoder
from genjax.nets.image import dcgan_discriminator as dcgan_discriminator
from genjax.nets.image import dcgan_generator as dcgan_generator
from genjax.nets.mlp import mlp_decoder as mlp_decoder
from genjax.nets.mlp import mlp_discriminator as mlp_discriminator
from genjax.nets.mlp import mlp_encoder as mlp_encoder
from genjax.nets.mlp import mlp_generator as mlp_generator
