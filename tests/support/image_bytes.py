"""Image files of every kind, as bytes."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 20, 30
TURNED = 6  # the orientation of a camera held upright: a quarter turn clockwise shows it right


def encode(ending: str, image: np.ndarray | None = None, *flags: int) -> bytes:
    """Return an image, noise of 30 x 20 px unless given, as OpenCV writes it."""
    if image is None:
        image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    if ending == ".gif":  # which OpenCV 4 does not write
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "GIF")
        return buffer.getvalue()
    done, content = cv2.imencode(ending, image, flags)
    assert done
    return content.tobytes()


def encode_mode(mode: str, kind: str, *, orientation: int = 1) -> bytes:
    """Return 30 x 20 px of noise in a mode of Pillow's, with an orientation in its EXIF data."""
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    if orientation == 1:
        Image.fromarray(rgb).convert(mode).save(buffer, kind)
    else:
        Image.fromarray(rgb).convert(mode).save(buffer, kind, exif=exif)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """Return a PNG whose header, with a right checksum, claims another size."""
    whole = encode(".png")
    header = b"IHDR" + struct.pack(">II", width, height) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]
