"""Exact discrete Laplace noise: integers and rationals over the operating system's randomness, never a float.

Specification: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (NeurIPS 2020), algorithms
1 and 2. A float sampler (`-b * log(u)`) was turned down: the low bits of its results tell the true count apart
(Mironov, CCS 2012). OpenDP has the same algorithm and is the oracle in the tests; on the box it would cost 38 MB.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    RandBelow = Callable[[int], int]


class Laplace:
    """Draws integers y with probability (1-q)/(1+q) * q**|y|, q = exp(-1/`scale`); raises ValueError if `scale` <= 0.

    `randbelow(n)` gives a uniform integer in 0..n-1; tests hand in their own, the box keeps `secrets`.
    """

    __slots__ = ("_randbelow", "scale")

    def __init__(self, scale: Fraction, *, randbelow: RandBelow = secrets.randbelow) -> None:
        if scale <= 0:
            raise ValueError("the scale of Laplace noise must be positive")
        self.scale = scale
        self._randbelow = randbelow

    def draw(self) -> int:
        """One draw; the number of random bits it takes does not depend on any count."""
        top, bottom = self.scale.numerator, self.scale.denominator
        while True:
            part = self._randbelow(top)
            if not self._exp_coin(part, top):
                continue
            whole = 0
            while self._exp_coin(1, 1):
                whole += 1
            size = (part + top * whole) // bottom
            negative = self._randbelow(2) == 1
            # Zero has one sign only, or it would come up twice as often as it should.
            if negative and size == 0:
                continue
            return -size if negative else size

    def _exp_coin(self, numerator: int, denominator: int) -> bool:
        """True with probability exp(-numerator/denominator), for a ratio in 0..1."""
        tries = 1
        while self._randbelow(denominator * tries) < numerator:
            tries += 1
        return tries % 2 == 1
