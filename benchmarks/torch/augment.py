"""The PyTorch side of images: SimCLR's augmentation of a batch on its device. Needs torch."""

import torch
import torch.nn.functional as F

_TRIES = 10  # boxes drawn per crop
# Of CIFAR-10's training images.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def _read_at(start: torch.Tensor, length: torch.Tensor, size: int) -> torch.Tensor:
    """Where grid_sample reads `size` places of boxes [B, 1], in [−1, 1]; never beyond the box."""
    places = (torch.arange(size, device=start.device) + 0.5) * length / size
    places = places.clamp_min(0.5).minimum(length - 0.5)
    return 2 * (start + places) / size - 1


def crop(x: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
    """Random resized crop and flip of square images [B, C, H, W]; draws [B, 2 · tries + 3].

    As torchvision's: area 0.08 to 1, ratio 3/4 to 4/3, whole pixels, the first try that fits, and
    the whole image where none does.
    """
    height, width = x.shape[2:]
    area, ratio, place = draw.split([_TRIES, _TRIES, 3], 1)
    area, ratio = (0.08 + 0.92 * area) * height * width, (4 / 3) ** (2 * ratio - 1)
    heights, widths = (area / ratio).sqrt().round(), (area * ratio).sqrt().round()
    fits = (heights <= height) & (widths <= width)
    first, fitting = fits.int().argmax(1, keepdim=True), fits.any(1, keepdim=True)
    reads = []
    for lengths, size, free in ((heights, height, place[:, :1]), (widths, width, place[:, 1:2])):
        length = torch.where(fitting, lengths.gather(1, first), size)
        reads.append(_read_at((free * (size - length + 1)).floor(), length, size))
    rows, columns = reads
    columns = torch.where(place[:, 2:] < 0.5, columns.flip(1), columns)
    grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), -1)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _luma(x: torch.Tensor) -> torch.Tensor:
    r, g, b = x.split(1, 1)
    return 0.299 * r + 0.587 * g + 0.114 * b


def _blend(x: torch.Tensor, base: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return (factor * x + (1 - factor) * base).clamp(0, 1)


def turn_hue(x: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Colours [B, 3, H, W] with their hue moved by shares of the circle [B, 1, 1, 1]."""
    value, highest = x.max(1, keepdim=True)
    chroma = value - x.amin(1, keepdim=True)
    ahead = (x.roll(-1, 1) - x.roll(-2, 1)).gather(1, highest)  # g − b where red is highest, …
    sixths = 2 * highest + ahead / chroma.clamp_min(1e-12) + 6 * shift
    channel = torch.arange(3, device=x.device)[:, None, None]
    away = (sixths - 2 * channel + 3) % 6 - 3  # from the channel's own hue, −3 to 3
    return value - chroma * (away.abs() - 1).clamp(0, 1)


@torch.no_grad()
def augment(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
) -> torch.Tensor:
    """SimCLR's view of every image, uint8 to float32 [B, 3, H, W], on the images' device.

    Each image has draws of its own. Colour operations come in a fixed order: brightness, contrast,
    saturation, hue; torchvision draws the order.

    Args:
      generator: on the images' device.
      mean, std: per channel, of the training set, in [0, 1].
    """
    size = (len(images), 2 * _TRIES + 9)
    draw = torch.rand(size, generator=generator, device=images.device)
    boxes, jittered, colours, grey = draw.split([2 * _TRIES + 3, 1, 4, 1], 1)
    x = crop(images.float() / 255, boxes)
    moves = torch.where(jittered < 0.8, 2 * colours - 1, 0.0)[:, :, None, None, None]
    brightness, contrast, saturation = (1 + 0.4 * moves[:, :3]).unbind(1)
    x = (brightness * x).clamp(0, 1)
    x = _blend(x, _luma(x).mean((2, 3), keepdim=True), contrast)
    x = _blend(x, _luma(x), saturation)
    x = turn_hue(x, 0.1 * moves[:, 3])
    x = torch.where(grey[:, :, None, None] < 0.2, _luma(x), x)
    channels = zip(x.split(1, 1), mean, std, strict=True)
    return torch.cat([(channel - m) / s for channel, m, s in channels], 1)
