from __future__ import annotations

import torch


class SD1ClipModel(torch.nn.Module):
    """Of Stable Diffusion 1 and 2."""
