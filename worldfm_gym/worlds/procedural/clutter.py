"""Clutter: what fills bare walls and corners once a room has what it is for."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from worldfm_gym.worlds.procedural import decor, furniture
from worldfm_gym.worlds.procedural.palette import Style
from worldfm_gym.worlds.procedural.placement import Piece, RoomPlacer

_EYE_BOTTOM_M = 1.2


def add_clutter(placer: RoomPlacer, purpose: str, style: Style, clutter: float) -> None:
    """Add storage and seats along bare walls, pictures, plants, and what lies about."""
    _fill(placer, purpose, style, clutter)
    _decorate(placer, purpose, style, clutter)


def _fill(placer: RoomPlacer, purpose: str, style: Style, clutter: float) -> None:
    """Put more storage and seats along walls that are still bare."""
    draw = placer.draw
    options = _FILLERS[purpose]
    x0, y0, x1, y1 = placer.inside
    for _ in range(round((0.5 + clutter) * (x1 - x0 + y1 - y0) / 5.0)):
        if not options:
            return
        piece = draw.choice(options)(draw, style)
        placed = placer.against_wall(piece, where=draw.choice(("corner", "anywhere")), tries=8)
        if placed is not None and piece.height < 1.3 and piece.category in ("cabinet", "bookshelf"):
            thing = draw.choice((decor.vase, decor.book_pile, decor.bowl, furniture.table_lamp))
            placer.on_top(thing(draw, style), placed, 0.0, draw.uniform(-0.15, 0.15))


def _small_cabinet(draw: Random, style: Style) -> Piece:
    return furniture.cabinet(
        draw, style, "cabinet", width=draw.uniform(0.7, 1.2), height=draw.uniform(0.75, 1.25),
        depth=draw.uniform(0.36, 0.45), columns=2, rows=draw.choice((1, 2, 3)),
    )  # fmt: skip


def _tall_cabinet(draw: Random, style: Style) -> Piece:
    columns = draw.choice((1, 2, 2))
    return furniture.cabinet(
        draw, style, "cabinet", width=0.48 * columns, height=draw.uniform(1.75, 2.0), depth=0.42,
        columns=columns, rows=draw.choice((1, 2)),
    )  # fmt: skip


def _armchair(draw: Random, style: Style) -> Piece:
    return furniture.sofa(draw, style, seats=1)


def _decorate(placer: RoomPlacer, purpose: str, style: Style, clutter: float) -> None:
    """Pictures on free walls, plants in corners, and what lies about."""
    draw = placer.draw
    if purpose == "bathroom":
        return
    for _ in range(1 + round(3 * clutter * placer.area / 16)):
        placer.against_wall(
            decor.picture(draw, style),
            bottom=_EYE_BOTTOM_M + draw.uniform(-0.05, 0.1),
            gap=0.0,
            tries=5,
        )
    if purpose in ("kitchen", "study", "living") and draw.random() < 0.4:
        placer.against_wall(decor.clock(draw, style), bottom=1.75, gap=0.0, tries=6)
    if draw.random() < 0.3 + 0.5 * clutter:
        placer.against_wall(decor.plant(draw, style), where="corner", gap=0.06)
    if purpose in ("living", "bedroom") and draw.random() < clutter:
        placer.against_wall(decor.plant(draw, style, tall=draw.uniform(0.5, 0.8)), gap=0.06)
    if purpose in ("study", "bedroom", "hall") and draw.random() < 0.6 * clutter:
        pile = placer.against_wall(decor.cardboard_box(draw), where="corner", gap=0.06)
        if pile is not None and draw.random() < 0.4:
            top = decor.cardboard_box(draw)
            if top.depth < pile.piece.depth and top.width < pile.piece.width:
                placer.on_top(top, pile, 0.0, 0.0)
    if purpose in ("living", "bedroom", "study") and draw.random() < 0.5 * clutter:
        placer.against_wall(decor.basket(draw, style), where="corner", gap=0.08)
    if purpose in ("living", "bedroom", "hall") and draw.random() < 0.35 * clutter:
        x0, y0, x1, y1 = placer.inside
        placer.put(
            decor.ball(draw),
            draw.uniform(x0 + 0.5, x1 - 0.5),
            draw.uniform(y0 + 0.5, y1 - 0.5),
            0.0,
        )


_Make = Callable[[Random, Style], Piece]
_FILLERS: dict[str, tuple[_Make, ...]] = {
    "living": (furniture.bookshelf, _small_cabinet, _armchair, decor.plant, furniture.floor_lamp),
    "kitchen": (_small_cabinet, _tall_cabinet, furniture.stool, decor.plant),
    "bedroom": (_small_cabinet, _armchair, furniture.bookshelf, decor.plant, furniture.chair),
    "study": (furniture.bookshelf, _small_cabinet, _tall_cabinet, decor.plant),
    "hall": (_tall_cabinet, furniture.stool, decor.plant),
    "bathroom": (),
}
