"""Images made square and of one size: the short side resized, the centre kept, antialiased (Lanczos)."""

import re

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from genjax.data.examples import Spec
from genjax.errors import UsageError
from genjax.formats.picture import square

MAX_SIZE = 4096


def check_image_size(image_size: int | None) -> None:
    """Raise `UsageError` unless None or 1 ... MAX_SIZE."""
    if image_size is not None and not 1 <= image_size <= MAX_SIZE:
        raise UsageError(f"image_size={image_size} must lie in 1 ... {MAX_SIZE} (pixels of a side). Try image_size=64.")


def image_spec(name: str, shape: str, n_classes: int, n_train: int, image_size: int = 0) -> Spec:
    """The `Spec` of images of a size that are not here.

    Args:
        name: of the data set.
        shape: HxWxC or HxW.
        n_classes: of the labels.
        n_train: images for training.
        image_size: what they are resized to; 0 for as they are.

    Raises:
        UsageError: no such shape, or numbers out of range.

    Example:
        >>> image_spec("faces", "64x48x3", 0, 1000).shape, image_spec("faces", "64x48", 0, 9, image_size=32).shape
        ((64, 48, 3), (32, 32, 1))
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})(?:x(\d{1,3}))?", shape)
    if not found or min(int(v or 1) for v in found.groups()) < 1:
        raise UsageError(f"shape={shape}: must be height x width x channels, like 64x64x3.")
    if n_classes < 0 or n_train < 1:
        raise UsageError(f"classes={n_classes}, n_train={n_train}: must be at least 0 and 1.")
    h, w, c = (int(v or 1) for v in found.groups())
    return Spec(name, (image_size or h, image_size or w, c), n_classes, n_train, "")


def resize_array(image: UInt8[np.ndarray, "h w c"], image_size: int) -> UInt8[np.ndarray, "s s c"]:
    """`square` of an array, channel by channel.

    Example:
        >>> resize_array(np.full((6, 4, 3), 7, np.uint8), 2).tolist() == np.full((2, 2, 3), 7).tolist()
        True
    """
    channels = [Image.fromarray(np.ascontiguousarray(image[..., c])) for c in range(image.shape[-1])]
    return np.stack([np.asarray(square(channel, image_size)) for channel in channels], axis=-1)


def resize_all(images: UInt8[np.ndarray, "n h w c"], image_size: int | None) -> UInt8[np.ndarray, "n s1 s2 c"]:
    """`resize_array` of every image; the images themselves where nothing is to be done."""
    if image_size is None or images.shape[1:3] == (image_size, image_size):
        return images
    return np.stack([resize_array(image, image_size) for image in images])
