"""Unrender: from a picture back to the prompt, or the prompt embedding, that would have rendered it."""

__version__ = "0.1.0"

WEB_DIRECTORY = "web"  # where ComfyUI finds the nodes' script and help pages


async def comfy_entrypoint():
    """What ComfyUI calls to get the nodes; nothing of them is imported elsewhere."""
    from .nodes.extension import extension

    return extension()
