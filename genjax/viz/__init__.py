"""Pictures: images as PNG through pillow, curves and histograms as SVG through matplotlib.

Images are arrays (n, h, w, c) of pixels 0..255, what `transform.inverse` gives; float pixels are rounded and clipped,
not-a-number is drawn black. One channel is grey, three are RGB; of any other number the channels stand side by side
in grey. Nothing here touches pyplot or any other global state, matplotlib is imported where a chart is drawn, and the
same arrays give the same bytes. `Png`, `Svg` and `Players` display themselves in a notebook.
"""

from genjax.viz.charts import Band, Svg, bands, curves, histogram, shades, spectra
from genjax.viz.dots import dots
from genjax.viz.images import Png, decode, encode, grid, neighbours, save_grid, sheet, show, tiles, to_uint8
from genjax.viz.pdf import pdf
from genjax.viz.players import Players, player, players
from genjax.viz.rows import rows
from genjax.viz.sweeps import SIGNS, Cloud, Trend, against, plane
from genjax.viz.waves import wave_cells

__all__ = [
    "SIGNS",
    "Band",
    "Cloud",
    "Players",
    "Png",
    "Svg",
    "Trend",
    "against",
    "bands",
    "curves",
    "decode",
    "dots",
    "encode",
    "grid",
    "histogram",
    "neighbours",
    "pdf",
    "plane",
    "player",
    "players",
    "rows",
    "save_grid",
    "shades",
    "sheet",
    "show",
    "spectra",
    "tiles",
    "to_uint8",
    "wave_cells",
]
