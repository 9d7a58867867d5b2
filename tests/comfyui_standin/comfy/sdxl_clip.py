from __future__ import annotations

import torch


class SDXLClipModel(torch.nn.Module):
    pass
