"""The pictures of the report in docs/reference/report have the colours of its figures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.browser import WIDTHS
from tests.shipped import REFERENCE

from selfgen.report import style

NEAR = 24
"""Of 256 a channel: edges of lines are smoothed, and a picture has 256 colours."""


@pytest.mark.parametrize("width", WIDTHS)
def test_methods_have_their_colours(width: int) -> None:
    with Image.open(REFERENCE / "report" / f"scores-{width}.png") as image:
        pixels = np.asarray(image.convert("RGB"), dtype=int).reshape(-1, 3)
    for colour in (style.BLUE, style.GREEN, style.GREY, style.BLACK):
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels - wanted).max(axis=1) < NEAR).sum() > 40, colour
