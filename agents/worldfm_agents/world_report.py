"""World report: what a world was made of and what it holds, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from worldfm_gym.worlds.world import World

_NAMED_OBJECTS = 8


def world_table(world: World) -> Table:
    """What a world was made of and what it holds, two columns, nothing left out silently."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, words in [*_source(world.source), *_contents(world)]:
        table.add_row(name, words)
    for warning in world.source.get("warnings", ()):
        table.add_row("[yellow]warning[/]", str(warning))
    return table


def _source(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the world comes from, and how what the source did not say was found."""
    words = [str(source[key]) for key in ("kind", "name") if key in source]
    if "seed" in source:
        words.append(f"seed {source['seed']}")
    if "frames" in source:
        words.append(f"{source['frames']} frames")
    size = source.get("photo_size")
    if size:
        words.append(f"{size[0]}×{size[1]} pixels")
    rows = [("source", " · ".join(words) or "not recorded")]
    if source.get("poses") == "odometry":
        rows.append(("poses", f"found by odometry, {source.get('loops', 0)} loops closed"))
    if "depth" in source:
        rows.append(("depth", str(source["depth"])))
    if "fov_x_deg" in source:
        rows.append(("lens", f"{source['fov_x_deg']:.1f}° wide, {source.get('fov_from', 'given')}"))
    if "camera_height_m" in source:
        floor = source.get("floor_from", "seen")
        rows.append(("camera", f"{source['camera_height_m']:.2f} m above the floor, {floor}"))
    if "scale_from" in source:
        factor = f" (×{source['scale']:.2f})" if round(source.get("scale", 1.0), 2) != 1.0 else ""
        rows.append(("scale", f"{source['scale_from']}{factor}"))
    return rows


def _contents(world: World) -> list[tuple[str, str]]:
    """What there is."""
    low, high = world.anchor.bounds
    size = " × ".join(f"{side:.1f}" for side in high - low)
    spacing_cm = 200.0 * float(np.median(world.anchor.radius))
    rows = [("points", f"{len(world.anchor):,}, {spacing_cm:.1f} cm apart, in {size} m")]
    invented = float(world.anchor.generated.mean())
    if invented > 0:
        rows.append(("", f"{invented:.1%} of them generated: no source has seen them"))
    drawn = sum(reference.generated for reference in world.references)
    references = str(len(world.references) or "none")
    if drawn:
        references += f", {drawn} of them generated"
    x, y, z = world.start_c2w[:3, 3]
    return [
        *rows,
        ("references", references),
        ("objects", _objects(world)),
        ("navigation", _navigation(world)),
        ("start", f"camera at ({x:.2f}, {y:.2f}, {z:.2f}) m"),
    ]


def _objects(world: World) -> str:
    """How many objects of which categories."""
    if not world.objects:
        return "none"
    movable = sum(item.movable for item in world.objects)
    categories = Counter(item.category for item in world.objects).most_common()
    named = ", ".join(f"{count} {category}" for category, count in categories)
    words = f"{len(world.objects)} ({movable} movable): {named}"
    largest = sorted(world.objects, key=lambda item: -float(item.size.prod()))[:_NAMED_OBJECTS]
    sizes = ", ".join(" × ".join(f"{side:.2f}" for side in item.size) for item in largest)
    return f"{words}; the largest {sizes} m"


def _navigation(world: World) -> str:
    """The floor and who can walk on it, or why nobody can."""
    nav = world.nav
    if nav is None:
        return f"none: {world.nav_problem}. The free camera works all the same"
    cell_m2 = nav.cell_m**2
    free, fits = float(nav.known_free.sum()) * cell_m2, float(nav.navigable.sum()) * cell_m2
    body = nav.body
    return (
        f"{free:.1f} m² of free floor; {fits:.1f} m² for the center of a body of radius "
        f"{body.radius_m:g} m and height {body.height_m:g} m"
    )
