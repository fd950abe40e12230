"""Images made square and of one size: the short side resized, the centre kept, antialiased (Lanczos)."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from genjax.errors import UsageError

MAX_SIZE = 4096


def check_image_size(image_size: int | None) -> None:
    """Raise `UsageError` unless None or 1 ... MAX_SIZE."""
    if image_size is not None and not 1 <= image_size <= MAX_SIZE:
        raise UsageError(f"image_size={image_size} must lie in 1 ... {MAX_SIZE} (pixels of a side). Try image_size=64.")


def square(image: Image.Image, image_size: int) -> Image.Image:
    """The largest centred square of a picture, resized to image_size x image_size."""
    w, h = image.size
    if w == h == image_size:
        return image
    s = min(w, h)
    box = ((w - s) / 2, (h - s) / 2, (w + s) / 2, (h + s) / 2)
    return image.resize((image_size, image_size), Image.Resampling.LANCZOS, box=box)


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
