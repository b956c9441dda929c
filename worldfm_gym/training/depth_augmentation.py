"""Depth augmentation: what light, lenses and cameras do to a photo, invented at random.

All of it happens on the device, for a whole batch at once, with draws of each sample's own. Where
it matters it follows the geometry: beams of light and shading lie on the surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

_LEVELS = 255.0


@dataclass(frozen=True, slots=True)
class DepthBatch:
    """Photos and their truth.

    Attributes:
        rgb: In 0…1, float32 [B, 3, H, W].
        depth_z: Metres, 0 where unknown, float32 [B, H, W].
        intrinsics: (fx, fy, cx, cy) in pixels, float32 [B, 4].
        up_camera: Unit vectors against gravity in the camera frame, float32 [B, 3].
        known_lens: Whether the network is told the intrinsics, bool [B].
    """

    rgb: Tensor
    depth_z: Tensor
    intrinsics: Tensor
    up_camera: Tensor
    known_lens: Tensor

    def __len__(self) -> int:
        return len(self.rgb)


def augment_photos(batch: DepthBatch, *, generator: torch.Generator) -> DepthBatch:
    """The same spaces as other cameras might have shown them, in another light."""
    draw = _Draws(len(batch), batch.rgb.device, generator)
    batch = _mirrored(batch, draw)
    linear = batch.rgb.square() * batch.rgb.sqrt()  # close to the display's curve, and cheap
    points = points_camera(batch.depth_z, batch.intrinsics)
    normal = _normals(points)
    linear = linear * _lighting(points, normal, draw)
    linear = _polished(linear, points, normal, batch, draw)
    linear = _blotched(linear, draw)
    linear = _toned(linear, draw)
    rgb = linear.clamp(1e-5, 1.0).pow(1 / 2.4)
    rgb = _colored(rgb, draw)
    batch = _distorted(replace(batch, rgb=rgb), draw)
    rgb = _blurred(batch.rgb, draw)
    rgb = _vignetted(rgb, draw)
    rgb = _noisy(rgb, draw)
    rgb = _compressed(rgb, draw)
    return replace(batch, rgb=(rgb.clamp(0, 1) * _LEVELS).round() / _LEVELS)


@dataclass(frozen=True, slots=True)
class _Draws:
    """Random numbers, one for each sample, shaped to multiply images [B, C, H, W]."""

    count: int
    device: torch.device
    generator: torch.Generator

    def uniform(self, low: float, high: float, channels: int = 1) -> Tensor:
        shape = (self.count, channels, 1, 1)
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, channels: int = 1) -> Tensor:
        shape = (self.count, channels, 1, 1)
        return torch.randn(shape, generator=self.generator, device=self.device)

    def happens(self, share: float) -> Tensor:
        """1 for a share of the samples, 0 for the others."""
        return (self.uniform(0, 1) < share).float()

    def noise(self, channels: int, height: int, width: int) -> Tensor:
        shape = (self.count, channels, height, width)
        return torch.randn(shape, generator=self.generator, device=self.device)


def _mirrored(batch: DepthBatch, draw: _Draws) -> DepthBatch:
    """Half of the batch, seen in a mirror."""
    flip = draw.happens(0.5) > 0
    width = batch.rgb.shape[-1]
    lens, up = batch.intrinsics.clone(), batch.up_camera.clone()
    chosen = flip[:, 0, 0, 0]
    lens[:, 2] = torch.where(chosen, width - lens[:, 2], lens[:, 2])
    up[:, 0] = torch.where(chosen, -up[:, 0], up[:, 0])
    return replace(
        batch,
        rgb=torch.where(flip, batch.rgb.flip(-1), batch.rgb),
        depth_z=torch.where(flip[:, 0], batch.depth_z.flip(-1), batch.depth_z),
        intrinsics=lens,
        up_camera=up,
    )


def points_camera(depth_z: Tensor, intrinsics: Tensor) -> Tensor:
    """The pixels' points in the camera frame, [B, 3, H, W]."""
    height, width = depth_z.shape[1:]
    u = torch.arange(width, device=depth_z.device) + 0.5
    v = torch.arange(height, device=depth_z.device) + 0.5
    fx, fy, cx, cy = (intrinsics[:, i, None] for i in range(4))
    x = ((u - cx) / fx)[:, None] * depth_z
    y = ((v - cy) / fy)[:, :, None] * depth_z
    return torch.stack([x, y, depth_z], dim=1)


def _normals(points: Tensor) -> Tensor:
    """Unit normals toward the camera, [B, 3, H, W]."""
    right = F.pad(points[..., 1:] - points[..., :-1], (0, 1, 0, 0), mode="replicate")
    down = F.pad(points[..., 1:, :] - points[..., :-1, :], (0, 0, 0, 1), mode="replicate")
    return F.normalize(torch.linalg.cross(down, right, dim=1), dim=1)


def _lighting(points: Tensor, normal: Tensor, draw: _Draws) -> Tensor:
    """Factor of the light: shading by a far lamp, beams and shadows with straight edges."""
    lamp = F.normalize(draw.normal(3), dim=1)
    facing = (normal * lamp).sum(1, keepdim=True).clamp(min=0)
    shade = 1 + draw.happens(0.5) * draw.uniform(0.2, 1.0) * (1.6 * facing - 0.6)
    lit = torch.ones_like(shade)
    for share in (0.6, 0.4, 0.25):
        gain = torch.exp(draw.uniform(0.3, 2.0))  # 1.3…7: a patch of sun
        gain = torch.where(draw.happens(0.4) > 0, 1 / gain, gain)  # or a shadow
        mask = _beam(points, draw) * (0.4 + 0.6 * facing)
        lit = torch.where(draw.happens(share) > 0, lit * (1 + (gain - 1) * mask), lit)
    distance = points.norm(dim=1, keepdim=True)
    flash: Tensor = draw.happens(0.15) * 1.5 / (0.3 + distance.square())  # a lamp on the camera
    return shade.clamp(min=0.05) * lit + flash


def _polished(
    linear: Tensor, points: Tensor, normal: Tensor, batch: DepthBatch, draw: _Draws
) -> Tensor:
    """Some floors and tables mirror what stands behind them, as if it stood at one distance."""
    up = batch.up_camera[:, :, None, None]
    level = torch.sigmoid(80 * ((normal * up).sum(1, keepdim=True) - 0.95))
    mirrored = F.normalize(points - 2 * (points * up).sum(1, keepdim=True) * up, dim=1)
    x, y, z = (points + torch.exp(draw.uniform(-0.7, 1.2)) * mirrored).unbind(1)
    fx, fy, cx, cy = (batch.intrinsics[:, i, None, None] for i in range(4))
    height, width = z.shape[1:]
    u = (fx * x / z.clamp(min=0.05) + cx) / width * 2 - 1
    v = (fy * y / z.clamp(min=0.05) + cy) / height * 2 - 1
    inside = ((u.abs() < 1) & (v.abs() < 1) & (z > 0.05))[:, None]
    soft = F.avg_pool2d(linear, 3, stride=1, padding=1)
    seen = F.grid_sample(
        soft, torch.stack([u, v], dim=-1).clamp(-2, 2), padding_mode="border", align_corners=False
    )
    share = draw.happens(0.3) * draw.uniform(0.1, 0.7) * level * inside
    return linear * (1 - 0.6 * share) + seen * share


def _beam(points: Tensor, draw: _Draws) -> Tensor:
    """Where a beam of light falls that comes through a window, perhaps one with bars or blinds.

    The beam has the section of a parallelogram and passes through a point of what is seen.
    """
    spread, middle = torch.std_mean(points, dim=(2, 3), keepdim=True)
    offset = points - middle - 0.8 * spread * draw.normal(3)
    sharp = torch.exp(draw.uniform(2.3, 5.0))  # edges 1…10 cm wide
    mask = torch.ones_like(points[:, :1])
    for _ in range(2):
        axis = F.normalize(draw.normal(3), dim=1)
        along = (axis * offset).sum(1, keepdim=True)
        half = torch.exp(draw.uniform(-1.6, 0.9))  # metres
        mask = mask * torch.sigmoid(sharp * (half - along.abs()))
    period = torch.exp(draw.uniform(-2.2, 0.2))
    open_share = draw.uniform(-0.8, 0.6)
    bars = torch.sigmoid(10 * (torch.cos(6.28 / period * along) - open_share))
    return torch.where(draw.happens(0.4) > 0, mask * bars, mask)


def _blotched(linear: Tensor, draw: _Draws) -> Tensor:
    """Smooth patches of other brightness and color, as of stains, reflections and haze."""
    height, width = linear.shape[2:]
    total = torch.zeros_like(linear)
    for cells, share in ((3, 0.35), (12, 0.2), (40, 0.2)):
        coarse = draw.noise(3, max(2, height * cells // width), cells)
        gray = coarse.mean(1, keepdim=True) * 1.7
        coarse = torch.lerp(gray.expand_as(coarse), coarse, draw.uniform(0, 0.7))
        fine = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
        total = total + draw.happens(share) * draw.uniform(0, 0.3) * fine
    veil = draw.happens(0.12) * draw.uniform(0.0, 0.25) * draw.uniform(0.4, 1.0, 3)
    return linear * torch.exp(total) + veil


def _toned(linear: Tensor, draw: _Draws) -> Tensor:
    """Exposure, white balance and the curve of the film."""
    mean = linear.mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
    exposed = linear * (torch.exp(draw.uniform(-1.1, 0.9)) * 0.25 / mean).clamp(0.2, 8.0)
    exposed = torch.lerp(linear, exposed, draw.happens(0.7))
    exposed = exposed * torch.exp(0.16 * draw.normal(3))
    rolled = exposed / (1 + 0.45 * exposed)  # highlights roll off
    return torch.where(draw.happens(0.5) > 0, rolled, exposed).clamp(0, 4)


def _colored(rgb: Tensor, draw: _Draws) -> Tensor:
    """Contrast, gamma, mixed channels, saturation, gray, now and then a negative."""
    rgb = rgb.clamp(1e-3, 1).pow(torch.exp(0.3 * draw.normal()))
    middle = rgb.mean((2, 3), keepdim=True)
    rgb = middle + (rgb - middle) * draw.uniform(0.6, 1.5)
    mix = (
        torch.eye(3, device=rgb.device) + 0.25 * draw.happens(0.3)[:, 0] * draw.noise(1, 3, 3)[:, 0]
    )
    mix = mix / mix.sum(-1, keepdim=True).clamp(min=0.5)
    rgb = torch.einsum("bij,bjhw->bihw", mix, rgb)
    gray = rgb.mean(1, keepdim=True)
    saturation = draw.uniform(0.3, 1.7) * (1 - draw.happens(0.12))
    rgb = gray + (rgb - gray) * saturation
    return torch.where(draw.happens(0.03) > 0, 1 - rgb, rgb).clamp(0, 1)


def _distorted(batch: DepthBatch, draw: _Draws) -> DepthBatch:
    """Barrel and pincushion distortion, which photos have and intrinsics don't tell."""
    height, width = batch.rgb.shape[2:]
    device = batch.rgb.device
    y = torch.linspace(-1, 1, height, device=device)[:, None] * (1 - 1 / height)
    x = torch.linspace(-1, 1, width, device=device) * (1 - 1 / width)
    half_diagonal = (width**2 + height**2) ** 0.5 / 2
    square = (x * width / 2 / half_diagonal) ** 2 + (y * height / 2 / half_diagonal) ** 2
    strength = (0.05 * draw.normal() * draw.happens(0.6))[:, 0]  # [B, 1, 1]
    # Nothing from outside the image comes in: the image is enlarged as much as needed.
    factor = (1 + strength * square) / (1 + strength.clamp(min=0))
    grid = torch.stack([x * factor, y * factor], dim=-1)
    rgb = F.grid_sample(batch.rgb, grid, padding_mode="border", align_corners=False)
    depth = F.grid_sample(
        batch.depth_z[:, None], grid, mode="nearest", padding_mode="border", align_corners=False
    )[:, 0]
    enlarged = (1 + strength.clamp(min=0)) / (1 + 0.3 * strength)
    lens = batch.intrinsics.clone()
    lens[:, :2] = lens[:, :2] * enlarged[:, :, 0]
    for column, middle in ((2, width / 2), (3, height / 2)):
        lens[:, column] = middle + (lens[:, column] - middle) * enlarged[:, 0, 0]
    return replace(batch, rgb=rgb, depth_z=depth, intrinsics=lens)


def _blurred(rgb: Tensor, draw: _Draws) -> Tensor:
    """Out of focus, moved, or enlarged from fewer pixels."""
    soft = F.avg_pool2d(F.pad(rgb, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    softer = F.avg_pool2d(F.pad(soft, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    moved = (rgb + rgb.roll(2, -1) + rgb.roll(4, -1) + rgb.roll(-2, -1)) / 4
    coarse = F.interpolate(
        F.avg_pool2d(rgb, 2), scale_factor=2.0, mode="bilinear", align_corners=False
    )
    choice = draw.uniform(0, 1)
    out = torch.where(choice < 0.25, torch.lerp(rgb, soft, draw.uniform(0, 1)), rgb)
    out = torch.where((choice > 0.25) & (choice < 0.35), torch.lerp(soft, softer, 0.7), out)
    out = torch.where((choice > 0.35) & (choice < 0.41), moved, out)
    out = torch.where((choice > 0.41) & (choice < 0.5), coarse, out)
    sharper = rgb + draw.uniform(0.2, 1.2) * (rgb - soft)
    return torch.where(choice > 0.85, sharper, out)


def _vignetted(rgb: Tensor, draw: _Draws) -> Tensor:
    """Darker corners."""
    height, width = rgb.shape[2:]
    y = torch.linspace(-1, 1, height, device=rgb.device)[:, None]
    x = torch.linspace(-1, 1, width, device=rgb.device)
    return rgb * (1 - draw.happens(0.4) * draw.uniform(0.05, 0.4) * (x * x + y * y) / 2)


def _noisy(rgb: Tensor, draw: _Draws) -> Tensor:
    """Noise of the sensor, fine and gray or coarse and colored."""
    height, width = rgb.shape[2:]
    fine = draw.noise(1, height, width)
    coarse = F.interpolate(draw.noise(3, height // 2, width // 2), scale_factor=2.0)
    strength = draw.happens(0.6) * draw.uniform(0, 0.2).square()
    return rgb + strength * torch.lerp(fine.expand_as(rgb), coarse, draw.uniform(0, 1))


def _compressed(rgb: Tensor, draw: _Draws) -> Tensor:
    """Blocks of 8×8 with coarse steps and smeared color, much as JPEG leaves them."""
    block = F.interpolate(F.avg_pool2d(rgb, 8), scale_factor=8.0)
    gray = rgb.mean(1, keepdim=True)
    smeared = F.interpolate(F.avg_pool2d(rgb - gray, 4), scale_factor=4.0) + gray
    step = draw.uniform(0.01, 0.08)
    coarse = block + ((smeared - block) / step).round() * step
    return torch.where(draw.happens(0.3) > 0, coarse, rgb)
