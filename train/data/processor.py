"""Image preprocessing as an image processor of transformers."""

from transformers import LlavaImageProcessorPil

from ..recipe import Vision


def image_processor(vision: Vision) -> LlavaImageProcessorPil:
    """Give the image processor of transformers that equals `collate.to_tensor`."""
    return LlavaImageProcessorPil(
        do_pad=True,
        size={"shortest_edge": vision.size},
        crop_size={"height": vision.size, "width": vision.size},
        image_mean=list(vision.mean),
        image_std=list(vision.std),
    )
