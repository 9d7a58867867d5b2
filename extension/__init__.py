"""The door for Stable Diffusion webuis. `webui` holds all that touches a webui itself."""
