"""Networks: NNX modules turned into pure functions. The only room that imports flax."""

from genjax.nets.compute import compute as compute
from genjax.nets.conv import conv as conv
from genjax.nets.conv import conv_transpose as conv_transpose
from genjax.nets.devices import batches_over as batches_over
from genjax.nets.devices import each_device as each_device
from genjax.nets.devices import n_chunks as n_chunks
from genjax.nets.functional import functional as functional
from genjax.nets.image import conv_decoder as conv_decoder
from genjax.nets.image import conv_encoder as conv_encoder
from genjax.nets.image import dcgan_discriminator as dcgan_discriminator
from genjax.nets.image import dcgan_generator as dcgan_generator
from genjax.nets.mlp import mlp_decoder as mlp_decoder
from genjax.nets.mlp import mlp_discriminator as mlp_discriminator
from genjax.nets.mlp import mlp_encoder as mlp_encoder
from genjax.nets.mlp import mlp_generator as mlp_generator
from genjax.nets.plain import plain_decoder as plain_decoder
from genjax.nets.plain import plain_encoder as plain_encoder
from genjax.nets.resample import conv_pool as conv_pool
from genjax.nets.resample import mean_pool as mean_pool
from genjax.nets.resample import upsample as upsample
from genjax.nets.resample import upsample_conv as upsample_conv
from genjax.nets.resnet import resnet_discriminator as resnet_discriminator
from genjax.nets.resnet import resnet_generator as resnet_generator
from genjax.nets.spectral import spectral_norm as spectral_norm
from genjax.nets.upsampling import dropout_discriminator as dropout_discriminator
from genjax.nets.upsampling import upsampling_generator as upsampling_generator
