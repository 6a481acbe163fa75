"""Conditional random field over pixels, solved by mean field within a window (Krähenbühl and Koltun 2011; Teichmann and
Cipolla 2018, who bound the range of interaction so that messages become convolutions)."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["WindowedCRF"]


class WindowedCRF:
    """Sharpens class probabilities along the colours of an image.

    Pixels attract each other by ``appearance * exp(-d^2 / 2 a^2 - c^2 / 2 b^2) + smoothness * exp(-d^2 / 2 g^2)``, where
    ``d`` is their distance in px and ``c`` that of their colours, each kernel normalised over the window. Classes repel
    equally (Potts).

    Args:
        radius: pixels to each side that a pixel sees, in steps of ``dilation``.
        dilation: px between the pixels seen.
        iterations: mean-field updates.
        appearance: weight of the kernel of position and colour.
        smoothness: weight of the kernel of position.
        position_sigma: ``a`` in px.
        colour_sigma: ``b``, with colours in [0, 1].
        smoothness_sigma: ``g`` in px.

    Raises:
        ValueError: a radius, dilation or width that is not positive.
    """

    def __init__(
        self,
        radius: int = 5,
        dilation: int = 2,
        iterations: int = 5,
        appearance: float = 4.0,
        smoothness: float = 2.0,
        position_sigma: float = 8.0,
        colour_sigma: float = 0.08,
        smoothness_sigma: float = 3.0,
    ) -> None:
        values = (radius, dilation, position_sigma, colour_sigma, smoothness_sigma)
        if min(values) <= 0 or iterations < 0:
            raise ValueError(f"expected positive radius, dilation and widths, found {values}, and {iterations} iterations")
        self.radius = radius
        self.dilation = dilation
        self.iterations = iterations
        self.weights = (appearance, smoothness)
        self.sigmas = (position_sigma, colour_sigma, smoothness_sigma)

    def __call__(self, image: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
        """
        Args:
            image: ``(N, 3, H, W)`` float in [0, 1].
            probability: ``(N, C, H, W)`` class probabilities; a class at 0 everywhere stays there.

        Returns:
            ``(N, C, H, W)``, summing to 1 over the classes.
        """
        result = torch.zeros_like(probability, dtype=torch.float32)
        # one patch at a time: the kernels take (2 radius + 1)^2 values per pixel; and its own classes alone
        for k, own in enumerate(probability.flatten(2).amax(dim=2) > 0):
            unary = torch.log(probability[k : k + 1, own].float().clamp(min=1e-20))
            result[k, own] = self._solve(image[k : k + 1].float(), unary)[0]
        return result

    def _solve(self, image: torch.Tensor, unary: torch.Tensor) -> torch.Tensor:
        q = torch.softmax(unary, dim=1)
        kernel = self._kernel(image)
        for _ in range(self.iterations):
            message = torch.stack(
                [(self._neighbours(q[:, k : k + 1]) * kernel).sum(dim=1) for k in range(q.shape[1])], dim=1
            )
            q = torch.softmax(unary + message, dim=1)
        return q

    def _kernel(self, image: torch.Tensor) -> torch.Tensor:
        """``(1, K, H, W)``: attraction to each neighbour; none to the pixel itself or beyond the border."""
        position_sigma, colour_sigma, smoothness_sigma = self.sigmas
        steps = torch.arange(-self.radius, self.radius + 1, device=image.device) * self.dilation
        distance = (steps[:, None] ** 2 + steps[None] ** 2).flatten()[None, :, None, None]
        colour = sum((self._neighbours(channel) - channel) ** 2 for channel in image.split(1, dim=1))
        inside = self._neighbours(torch.ones_like(image[:, :1])) * (distance > 0)
        kernels = (
            torch.exp(-distance / (2 * position_sigma**2) - colour / (2 * colour_sigma**2)) * inside,
            torch.exp(-distance / (2 * smoothness_sigma**2)) * inside,
        )
        return sum(
            weight * kernel / kernel.sum(dim=1, keepdim=True).clamp(min=1e-6)
            for weight, kernel in zip(self.weights, kernels, strict=True)
        )

    def _neighbours(self, channel: torch.Tensor) -> torch.Tensor:
        """``(1, 1, H, W)`` to the values of each pixel's window, ``(1, K, H, W)``, zero beyond the border."""
        size, padding = 2 * self.radius + 1, self.radius * self.dilation
        unfolded = functional.unfold(channel, size, dilation=self.dilation, padding=padding)
        return unfolded.view(1, size**2, *channel.shape[-2:])
