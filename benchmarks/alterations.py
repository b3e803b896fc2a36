"""What is done to copies of images: the alterations of the accuracy benchmarks, by class."""

from collections.abc import Callable
from functools import partial
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

Alteration = Callable[[Image.Image], Image.Image]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Encode and decode."""
    out = BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Resize both sides."""
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def toned(image: Image.Image, gamma: float) -> Image.Image:
    """Change the gamma."""
    return image.point([round(255 * (level / 255) ** gamma) for level in range(256)] * 3)


def letterboxed(image: Image.Image, level: int) -> Image.Image:
    """Put even bars above and below, 15 % each."""
    box = Image.new("RGB", (image.width, round(image.height * 1.3)), (level,) * 3)
    box.paste(image, (0, round(image.height * 0.15)))
    return box


def framed(image: Image.Image, level: int) -> Image.Image:
    """Burn in an even frame of 3 % of the shorter side, and a letter."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    draw.rectangle((0, 0, image.width - 1, image.height - 1), outline=(level,) * 3, width=round(0.03 * min(image.size)))
    draw.text((image.width // 20, image.height // 20), "R", fill=(255, 255, 255))
    return copy


def marked(image: Image.Image) -> Image.Image:
    """Burn in an arrow and a letter."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    width, height = image.size
    tip = 0.55 * width, 0.5 * height
    draw.line((0.35 * width, 0.3 * height, *tip), fill=(255, 255, 255), width=max(1, width // 60))
    draw.polygon([tip, (tip[0] - 0.05 * width, tip[1]), (tip[0], tip[1] - 0.06 * height)], fill=(255, 255, 255))
    draw.text((width // 20, height // 20), "L", fill=(255, 255, 255))
    return copy


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut off shares of width and height."""
    width, height = image.size
    box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    return image.crop(tuple(round(side) for side in box))


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """Turn and cut off the empty corners, proportions kept."""
    angle = np.deg2rad(abs(degrees))
    longer = max(image.size) / min(image.size)
    cut = (1 - 1 / (longer * np.sin(angle) + np.cos(angle))) / 2
    return cropped(image.rotate(degrees, Image.Resampling.BICUBIC), cut, cut, cut, cut)


def transposed(image: Image.Image, kind: Image.Transpose) -> Image.Image:
    """Mirror or turn by a right angle."""
    return image.transpose(kind)


def changed(image: Image.Image, kind: type, factor: float) -> Image.Image:
    """Change brightness or contrast."""
    return kind(image).enhance(factor)


def grey(image: Image.Image) -> Image.Image:
    """Take the colour away."""
    return image.convert("L").convert("RGB")


def squared(image: Image.Image, level: int) -> Image.Image:
    """Letterbox to a square of 243 pixels, as encoders take it."""
    side = max(image.size)
    box = Image.new("RGB", (side, side), (level,) * 3)
    box.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return box.resize((243, 243), Image.Resampling.BICUBIC)


def squeezed(image: Image.Image, factor: float) -> Image.Image:
    """Cut 5 % off each border and change the width alone."""
    cut = cropped(image, 0.05, 0.05, 0.05, 0.05)
    return cut.resize((round(cut.width * factor), cut.height), Image.Resampling.BICUBIC)


def heated(image: Image.Image, opacity: float) -> Image.Image:
    """Lay a heat map of two spots over the image."""
    draws = np.random.default_rng(0)
    y, x = np.mgrid[0 : image.height, 0 : image.width]
    heat = np.zeros((image.height, image.width))
    for _ in range(2):
        across, down = draws.uniform(0.25, 0.75, 2) * image.size
        heat += np.exp(-((x - across) ** 2 + (y - down) ** 2) / 2 / (draws.uniform(0.12, 0.3) * min(image.size)) ** 2)
    map_ = cv2.applyColorMap((255 * heat / heat.max()).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    return Image.blend(image, Image.fromarray(np.ascontiguousarray(map_)), opacity)


def coloured(image: Image.Image, map_: int) -> Image.Image:
    """Show brightness in the colours of a map."""
    return Image.fromarray(np.ascontiguousarray(cv2.applyColorMap(np.asarray(image.convert("L")), map_)[..., ::-1]))


def watermarked(image: Image.Image) -> Image.Image:
    """Tile a word over the image, white at 40 %."""
    width, height = image.size
    layer = Image.new("L", image.size, 0)
    font = ImageFont.load_default(size=max(8, width // 14))
    for row, y in enumerate(range(0, height, max(12, height // 6))):
        for x in range(-(row * width // 9) % (width // 3) - width // 3, width, max(20, width // 3)):
            ImageDraw.Draw(layer).text((x, y), "SAMPLE", 102, font)
    return Image.composite(Image.new("RGB", image.size, (255, 255, 255)), image, layer)


CLASSES: dict[str, tuple[float, dict[str, Alteration]]] = {
    "JPEG": (0.99, {f"q{q}": partial(jpeg, quality=q) for q in (50, 70, 85, 95)}),
    "resize": (0.99, {f"x{f}": partial(scaled, factor=f) for f in (0.5, 0.75, 1.5, 2)}),
    "grey": (0.99, {"grey": grey}),
    "brightness": (0.99, {f"{f}": partial(changed, kind=ImageEnhance.Brightness, factor=f) for f in (0.8, 1.2)}),
    "contrast": (0.99, {f"{f}": partial(changed, kind=ImageEnhance.Contrast, factor=f) for f in (0.8, 1.2)}),
    "gamma": (0.99, {f"{f}": partial(toned, gamma=f) for f in (0.8, 1.25)}),
    "letterbox": (0.99, {f"{level}": partial(letterboxed, level=level) for level in (0, 255)}),
    "burnt-in frame": (0.99, {f"{level}": partial(framed, level=level) for level in (0, 255)}),
    "arrow, letter": (0.99, {"arrow": marked}),
    "crop 2.5-5 %": (0.97, {f"{c}": partial(cropped, left=c, top=c, right=c, bottom=c) for c in (0.025, 0.05)}),
    "crop 10 %": (0.9, {"0.1": partial(cropped, left=0.1, top=0.1, right=0.1, bottom=0.1)}),
    "crop off centre": (
        0.9,
        {
            "corner": partial(cropped, left=0.1, top=0.1, right=0, bottom=0),
            "shifted": partial(cropped, left=0.2, top=0.1, right=0, bottom=0.1),
            "side": partial(cropped, left=0, top=0, right=0.1, bottom=0),
        },
    ),
    "flip": (0.97, {"flip": partial(transposed, kind=Image.Transpose.FLIP_LEFT_RIGHT)}),
    "90 degrees": (
        0.97,
        {
            f"{kind.name}": partial(transposed, kind=kind)
            for kind in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)
        },
    ),
    "2-5 degrees": (0.9, {f"{degrees}": partial(turned, degrees=degrees) for degrees in (-5, 2, 5)}),
    "letterbox to a square": (0.995, {f"{level}": partial(squared, level=level) for level in (0, 255)}),
    "negative": (0.97, {"negative": lambda image: ImageOps.invert(grey(image))}),
    "crop 25 %": (0.9, {"0.25": partial(cropped, left=0.25, top=0.25, right=0.25, bottom=0.25)}),
    "squeezed, crop 5 %": (0.9, {f"{factor}": partial(squeezed, factor=factor) for factor in (0.75, 1.33)}),
    "15 degrees": (
        0.9,
        {"cut": partial(turned, degrees=15), "black": lambda image: image.rotate(-15, Image.Resampling.BICUBIC)},
    ),
    "heat map": (0.8, {f"{opacity}": partial(heated, opacity=opacity) for opacity in (0.4, 0.6)}),
    "colour map": (
        0.8,
        {name: partial(coloured, map_=getattr(cv2, f"COLORMAP_{name}")) for name in ("HOT", "VIRIDIS", "JET")},
    ),
    "tiled watermark": (0.8, {"SAMPLE": watermarked}),
}
"""Alterations by class, with the share of copies that must be found."""
