"""Pictures made by code that have detail at all scales, and what is done to copies of them."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont


def picture(seed: int, width: int = 256, height: int = 208) -> Image.Image:
    """A grey picture of blobs of all sizes; another seed gives an unrelated one."""
    draws = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for cells in (4, 8, 16, 32, 64):
        layer = Image.fromarray(draws.normal(size=(cells * height // width, cells)).astype(np.float32))
        total += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC)) * (16 / cells) ** 0.5
    low, high = np.percentile(total, [0.5, 99.5])
    return Image.fromarray(np.clip((total - low) / (high - low) * 200 + 25, 0, 255).astype(np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out)


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut off shares of width and height."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def letterboxed(image: Image.Image, level: int) -> Image.Image:
    box = Image.new("L", (image.width, image.height * 4 // 3), level)
    box.paste(image, (0, image.height // 6))
    return box


def marked(image: Image.Image) -> Image.Image:
    """Burn a white bar into the upper left."""
    copy = image.copy()
    copy.paste(255, (image.width // 8, image.height // 8, image.width // 3, image.height // 8 + 6))
    return copy


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """Turn a little and cut off the empty corners."""
    return cropped(image.rotate(degrees, Image.Resampling.BICUBIC), 0.08, 0.08, 0.08, 0.08)


def beside(*panels: Image.Image, gutter: int = 0) -> Image.Image:
    """Set pictures beside each other as a figure has its panels, all as large as the first, white between them."""
    width, height = panels[0].size
    figure = Image.new("L", (len(panels) * (width + gutter) - gutter, height), 255)
    for place, panel in enumerate(panels):
        figure.paste(panel.resize((width, height)), (place * (width + gutter), 0))
    return figure


def below(*panels: Image.Image, gutter: int = 0) -> Image.Image:
    """Set pictures below each other."""
    return beside(*(panel.transpose(TURN) for panel in panels), gutter=gutter).transpose(TURN_BACK)


def chart(*heights: int) -> Image.Image:
    """Draw a bar chart of values from 0 to 100, with its title, axes and the values as numbers."""
    figure = Image.new("L", (480, 360), 255)
    draw = ImageDraw.Draw(figure)
    font = ImageFont.load_default(size=16)
    draw.text((150, 8), "Response by treatment", 0, font)
    draw.line((50, 40, 50, 310, 460, 310), 0, 2)
    for place, height in enumerate(heights):
        left = 80 + 75 * place
        draw.rectangle((left, 310 - 2 * height, left + 40, 310), 110, 0)
        draw.text((left, 288 - 2 * height), str(height), 0, font)
        draw.text((left, 318), f"Arm {place + 1}", 0, font)
    return figure


def slices(seed: int, count: int) -> list[Image.Image]:
    """Cut neighbouring slices out of a volume of blobs: from one to the next a part of what is seen is new."""
    rows = np.linspace(0, 0.6 * np.pi, count)
    one, other = (pixels(picture(number)).astype(float) - 128 for number in (seed, seed + 1000))
    return [
        Image.fromarray((np.cos(row) * one + np.sin(row) * other + 128).clip(0, 255).astype(np.uint8)) for row in rows
    ]


FLIP, TURN, TURN_BACK = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270

ALTERATIONS = {
    "JPEG": lambda image: jpeg(image, 50),
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "double size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "darker": lambda image: image.point(lambda level: int(level * 0.8)),
    "gamma": lambda image: image.point(lambda level: round(255 * (level / 255) ** 1.25)),
    "letterbox": lambda image: letterboxed(image, 0),
    "mark": marked,
    "crop of 5 %": lambda image: cropped(image, 0.05, 0.05, 0.05, 0.05),
    "crop of 10 %": lambda image: cropped(image, 0.1, 0.1, 0.1, 0.1),
    "crop off the centre": lambda image: cropped(image, 0.2, 0.0, 0.0, 0.1),
    "flip": lambda image: image.transpose(FLIP),
    "turn": lambda image: image.transpose(TURN),
    "turn back": lambda image: image.transpose(TURN_BACK),
    "4 degrees": lambda image: turned(image, 4),
    "flip, crop and JPEG": lambda image: jpeg(cropped(image.transpose(FLIP), 0.05, 0.05, 0.05, 0.05), 75),
}
"""What a copy may have gone through."""
