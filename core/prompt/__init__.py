"""From what a CLIP sees in a picture to a prompt: the modes, and the searches they stand on."""
