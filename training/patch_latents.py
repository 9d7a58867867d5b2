"""Latents fixed from the beginning: the principal components of a picture's patches, written into an AutoencoderKL.

The encoder's residual branches are silent and what remains is linear: each halving gathers 2 x 2 neighbours, and the
last one keeps the components. So decoder and UNet can be trained side by side, and colour is never lost on the way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPREAD = 0.5  # a component of deviation s gets the deviation s^SPREAD: small ones are not lost among the noise
POSTERIOR_DEVIATION = 0.1  # of the latents' own, for the decoder to bear what a UNet gets wrong
_STEADY = 16.0  # steady channels beside the components, so that the last normalisation hardly changes their scale


def set_encoder(autoencoder: Any, pictures: Tensor) -> None:
    """Makes an AutoencoderKL of three halvings encode by the components of `pictures`, values (n, 3, h, w) of -1 to 1.

    The latents have mean 0, and deviation 1 over all channels.
    """
    encoder = autoencoder.encoder
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
        for module in encoder.modules():
            if isinstance(module, nn.GroupNorm):
                module.weight.fill_(1)
        _set_shortcuts(encoder)
        nn.init.dirac_(encoder.conv_in.weight)
        first, second, third = encoder.down_blocks[:3]
        twos = _set_halving(first.downsamplers[0].conv, pictures, 12)
        fours = _set_halving(second.downsamplers[0].conv, twos, second.resnets[0].out_channels)
        latents = autoencoder.config.latent_channels
        _set_halving(third.downsamplers[0].conv, fours, latents, last=True)
        _set_output(encoder, latents)
        nn.init.dirac_(autoencoder.quant_conv.weight)
        autoencoder.quant_conv.bias.zero_()


def _set_shortcuts(encoder: nn.Module) -> None:
    for module in encoder.modules():
        if isinstance(shortcut := getattr(module, "conv_shortcut", None), nn.Conv2d):
            nn.init.dirac_(shortcut.weight)


def _set_halving(conv: nn.Conv2d, values: Tensor, kept: int, last: bool = False) -> Tensor:
    """Sets a halving to the first components of each 2 x 2 cell and returns what it makes of the values."""
    cells = F.pixel_unshuffle(values, 2)
    channels = values.shape[1]
    flat = cells.permute(0, 2, 3, 1).flatten(0, 2)
    mean = flat.mean(0) if last else torch.zeros(flat.shape[1])
    directions = torch.linalg.eigh(torch.cov(flat.T)).eigenvectors.flip(1).T[:kept]
    if last:
        deviations = ((flat - mean) @ directions.T).std(0)
        scales = deviations ** (SPREAD - 1)
        directions = directions * (scales / (deviations * scales).square().mean().sqrt()).unsqueeze(1)
    conv.weight[:kept, :channels, :2, :2] = directions.view(kept, channels, 2, 2)
    assert conv.bias is not None
    conv.bias[:kept] = -directions @ mean
    return F.conv2d(cells, directions[:, :, None, None], conv.bias[:kept])


def _set_output(encoder: Any, latents: int) -> None:
    """A component goes through normalisation and SiLU as x and -x: silu(x) - silu(-x) = x."""
    shortcut, norm, out = encoder.down_blocks[-1].resnets[0].conv_shortcut, encoder.conv_norm_out, encoder.conv_out
    shortcut.weight.zero_()
    size = norm.num_channels // norm.num_groups
    pairs = latents // norm.num_groups
    for latent in range(latents):
        place = latent // pairs * size + 2 * (latent % pairs)
        for channel, sign in ((place, 1.0), (place + 1, -1.0)):
            shortcut.weight[channel, latent] = sign
            out.weight[latent, channel, 1, 1] = sign
    for group in range(norm.num_groups):
        steady = slice(group * size + 2 * pairs, (group + 1) * size)
        shortcut.bias[steady] = _STEADY * torch.tensor([1.0, -1.0]).repeat((size - 2 * pairs) // 2)
    norm.weight.fill_(_STEADY * ((size - 2 * pairs) / size) ** 0.5)
    out.bias[latents:] = 2 * torch.tensor(POSTERIOR_DEVIATION).log()


def start_decoder(autoencoder: Any) -> None:
    """The decoder before training: the latents run through it unchanged, enlarged, and its branches are silent."""
    decoder = autoencoder.decoder
    with torch.no_grad():
        nn.init.dirac_(autoencoder.post_quant_conv.weight)
        autoencoder.post_quant_conv.bias.zero_()
        for name, module in decoder.named_modules():
            if name.endswith(("upsamplers.0.conv", "conv_shortcut", "conv_in")):
                module.weight += nn.init.dirac_(torch.empty_like(module.weight))
            elif name.endswith(("conv2", "to_out.0")):
                module.weight.zero_()
