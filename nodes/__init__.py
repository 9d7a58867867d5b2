"""The nodes for ComfyUI. `host` holds all that touches ComfyUI itself."""
