"""Any picture a user may hand over, as an RGB image."""

from .limits import MAX_PIXELS
from .picture import Picture, Pictures
from .reading import PAD_COLOR, fit_image, image_key, open_each, open_image, open_images
from .strips import original_size

__all__ = [
    "MAX_PIXELS",
    "PAD_COLOR",
    "Picture",
    "Pictures",
    "fit_image",
    "image_key",
    "open_each",
    "open_image",
    "open_images",
    "original_size",
]
