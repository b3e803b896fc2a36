"""How pixels are prepared, in the words of transformers."""

from transformers import LlavaImageProcessorPil

from ..recipe import Vision


def image_processor(vision: Vision) -> LlavaImageProcessorPil:
    """Give transformers' image processor that does what `collate.to_tensor` does."""
    return LlavaImageProcessorPil(
        do_pad=True,
        size={"shortest_edge": vision.size},
        crop_size={"height": vision.size, "width": vision.size},
        image_mean=list(vision.mean),
        image_std=list(vision.std),
    )
