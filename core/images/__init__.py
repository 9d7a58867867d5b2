"""Any picture a user may hand over, as an RGB image."""

from .picture import Picture
from .reading import MAX_PIXELS, PAD_COLOR, fit_image, image_key, open_image, open_images

__all__ = ["MAX_PIXELS", "PAD_COLOR", "Picture", "fit_image", "image_key", "open_image", "open_images"]
