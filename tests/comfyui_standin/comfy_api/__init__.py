"""A small stand-in for ComfyUI, so that the nodes can be tested, and their types checked, without it.

Its signatures are compared with the real ones where COMFYUI_DIR is set.
"""
