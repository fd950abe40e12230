"""A picture as a PDF file: one page, every pixel as it is, the same bytes for the same picture."""

import zlib

import numpy as np
from jaxtyping import UInt8


def pdf(picture: UInt8[np.ndarray, "H W C"], title: str = "") -> bytes:
    """A grey (one channel) or RGB picture on a page of its own size, a point for each pixel.

    Pillow's PDFs are JPEG inside, which smears the edges of small images; here nothing is lost.

    Example:
        >>> pdf(np.zeros((2, 3, 1), np.uint8))[:8]
        b'%PDF-1.4'
    """
    height, width, channels = picture.shape
    colours = {1: "DeviceGray", 3: "DeviceRGB"}[channels]
    pixels = zlib.compress(np.ascontiguousarray(picture).tobytes(), 9)
    draw = f"{width} 0 0 {height} 0 0 cm /I Do".encode()
    plain = title.encode("ascii", "replace").decode().replace("\\", "").replace("(", "").replace(")", "")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 4 0 R "
        "/Resources << /XObject << /I 5 0 R >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(draw), draw),
        f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /{colours} "
        f"/BitsPerComponent 8 /Filter /FlateDecode /Length {len(pixels)} >>\nstream\n".encode()
        + pixels
        + b"\nendstream",
        f"<< /Producer (genjax) /Title ({plain}) >>".encode(),
    ]
    out, at = b"%PDF-1.4\n", []
    for i, body in enumerate(objects, 1):
        at.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i, body)
    table = "".join(f"{offset:010d} 00000 n \n" for offset in at)
    n = len(objects) + 1
    end = f"xref\n0 {n}\n0000000000 65535 f \n{table}trailer\n<< /Size {n} /Root 1 0 R /Info {n - 1} 0 R >>\n"
    return out + f"{end}startxref\n{len(out)}\n%%EOF\n".encode()
