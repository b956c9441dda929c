"""Geometry: rays, distances and shadow clearances of primitives (shared source).

Everything is in the primitive's local frame: centre at the origin, half sizes (hx, hy, hz), for a
cylinder (radius_x, radius_y, half height), for an ellipsoid its radii.
"""

from __future__ import annotations

from worldfm_gym.worlds.raycast.vocabulary import (
    Lanes,
    Memory,
    absolute,
    any_true,
    div,
    like,
    load,
    load_one,
    maximum,
    minimum,
    sqrt,
    where,
)

BOX = 0
CYLINDER = 1
ELLIPSOID = 2

FLOATS = 32  # floats per primitive: the columns are listed in `packing`
INTS = 4  # shape, material, seed, instance
MISS = 1.0e30
NEAREST = 1.0e-3  # metres of z-depth in front of the camera


def nonzero(d: Lanes) -> Lanes:
    """`d`, kept away from zero so that its reciprocal is finite."""
    return where(absolute(d) < 1.0e-9, like(d, 1.0e-9), d)


def into_frame(prims: Memory, base: Lanes, live: Lanes, x: Lanes, y: Lanes, z: Lanes) -> Lanes:
    """Turn a world vector into the axes of each lane's primitive."""
    lx = (
        load(prims, base + 3, live) * x
        + load(prims, base + 6, live) * y
        + load(prims, base + 9, live) * z
    )
    ly = (
        load(prims, base + 4, live) * x
        + load(prims, base + 7, live) * y
        + load(prims, base + 10, live) * z
    )
    lz = (
        load(prims, base + 5, live) * x
        + load(prims, base + 8, live) * y
        + load(prims, base + 11, live) * z
    )
    return lx, ly, lz


def into_one_frame(prims: Memory, base: Lanes, x: Lanes, y: Lanes, z: Lanes) -> Lanes:
    """Turn world vectors into the axes of one primitive, the same for the whole block."""
    lx = (
        load_one(prims, base + 3) * x
        + load_one(prims, base + 6) * y
        + load_one(prims, base + 9) * z
    )
    ly = (
        load_one(prims, base + 4) * x
        + load_one(prims, base + 7) * y
        + load_one(prims, base + 10) * z
    )
    lz = (
        load_one(prims, base + 5) * x
        + load_one(prims, base + 8) * y
        + load_one(prims, base + 11) * z
    )
    return lx, ly, lz


def out_of_frame(prims: Memory, base: Lanes, live: Lanes, x: Lanes, y: Lanes, z: Lanes) -> Lanes:
    """Turn a vector in each lane's primitive axes into world axes."""
    wx = (
        load(prims, base + 3, live) * x
        + load(prims, base + 4, live) * y
        + load(prims, base + 5, live) * z
    )
    wy = (
        load(prims, base + 6, live) * x
        + load(prims, base + 7, live) * y
        + load(prims, base + 8, live) * z
    )
    wz = (
        load(prims, base + 9, live) * x
        + load(prims, base + 10, live) * y
        + load(prims, base + 11, live) * z
    )
    return wx, wy, wz


def slab(o: Lanes, d: Lanes, h: Lanes) -> Lanes:
    """Ray parameters at which |o + t·d| ≤ h begins and ends."""
    inverse = div(like(d, 1.0), nonzero(d))
    reach = absolute(inverse) * h
    middle = o * inverse
    return -middle - reach, reach - middle


def round_interval(b: Lanes, dd: Lanes, qq: Lanes) -> Lanes:
    """Interval inside a unit circle or sphere from o·d, d·d and the squared closest approach."""
    middle = -div(b, dd)
    half = sqrt(div(maximum(1.0 - qq, like(qq, 0.0)), dd))
    inside = qq < 1.0
    return where(inside, middle - half, like(qq, MISS)), where(
        inside, middle + half, -like(qq, MISS)
    )


def ray_box(
    ox: Lanes,
    oy: Lanes,
    oz: Lanes,
    dx: Lanes,
    dy: Lanes,
    dz: Lanes,
    hx: Lanes,
    hy: Lanes,
    hz: Lanes,
) -> Lanes:
    """Entry and exit of a ray through a box (slab method)."""
    x0, x1 = slab(ox, dx, hx)
    y0, y1 = slab(oy, dy, hy)
    z0, z1 = slab(oz, dz, hz)
    return maximum(maximum(x0, y0), z0), minimum(minimum(x1, y1), z1)


def ray_cylinder(
    ox: Lanes,
    oy: Lanes,
    oz: Lanes,
    dx: Lanes,
    dy: Lanes,
    dz: Lanes,
    hx: Lanes,
    hy: Lanes,
    hz: Lanes,
) -> Lanes:
    """Entry and exit of a ray through a capped cylinder."""
    ax = div(ox, hx)
    ay = div(oy, hy)
    bx = div(dx, hx)
    by = div(dy, hy)
    dd = maximum(bx * bx + by * by, like(bx, 1.0e-12))
    b = ax * bx + ay * by
    t = -div(b, dd)
    qx = ax + t * bx
    qy = ay + t * by
    r0, r1 = round_interval(b, dd, qx * qx + qy * qy)
    z0, z1 = slab(oz, dz, hz)
    return maximum(r0, z0), minimum(r1, z1)


def ray_ellipsoid(
    ox: Lanes,
    oy: Lanes,
    oz: Lanes,
    dx: Lanes,
    dy: Lanes,
    dz: Lanes,
    hx: Lanes,
    hy: Lanes,
    hz: Lanes,
) -> Lanes:
    """Entry and exit of a ray through an ellipsoid."""
    ax = div(ox, hx)
    ay = div(oy, hy)
    az = div(oz, hz)
    bx = div(dx, hx)
    by = div(dy, hy)
    bz = div(dz, hz)
    dd = maximum(bx * bx + by * by + bz * bz, like(bx, 1.0e-12))
    b = ax * bx + ay * by + az * bz
    t = -div(b, dd)
    qx = ax + t * bx
    qy = ay + t * by
    qz = az + t * bz
    return round_interval(b, dd, qx * qx + qy * qy + qz * qz)


def ray_primitive(
    prims: Memory,
    kinds: Memory,
    j: Lanes,
    ox: Lanes,
    oy: Lanes,
    oz: Lanes,
    dx: Lanes,
    dy: Lanes,
    dz: Lanes,
) -> Lanes:
    """Ray parameter at which world rays from one origin enter primitive `j`, MISS where they don't.

    A ray that starts inside a primitive does not see it.
    """
    base = j * FLOATS
    cx = ox - load_one(prims, base)
    cy = oy - load_one(prims, base + 1)
    cz = oz - load_one(prims, base + 2)
    lx, ly, lz = into_one_frame(prims, base, cx, cy, cz)
    ux, uy, uz = into_one_frame(prims, base, dx, dy, dz)
    hx = load_one(prims, base + 12)
    hy = load_one(prims, base + 13)
    hz = load_one(prims, base + 14)
    shape = load_one(kinds, j * INTS)
    enter = like(dx, MISS)
    leave = like(dx, -MISS)
    if shape == BOX:
        enter, leave = ray_box(lx, ly, lz, ux, uy, uz, hx, hy, hz)
    if shape == CYLINDER:
        enter, leave = ray_cylinder(lx, ly, lz, ux, uy, uz, hx, hy, hz)
    if shape == ELLIPSOID:
        enter, leave = ray_ellipsoid(lx, ly, lz, ux, uy, uz, hx, hy, hz)
    return where((enter < leave) & (enter > NEAREST), enter, like(dx, MISS))


def local_normal(
    shape: Lanes, x: Lanes, y: Lanes, z: Lanes, hx: Lanes, hy: Lanes, hz: Lanes
) -> Lanes:
    """Outward unit normal of the surface nearest to a local point on the surface."""
    zero = like(x, 0.0)
    one = like(x, 1.0)
    ex = absolute(x) - hx
    ey = absolute(y) - hy
    ez = absolute(z) - hz
    on_z = (ez >= ex) & (ez >= ey)
    on_y = (ey > ex) & (ez < ey)
    nx = where(on_z | on_y, zero, where(x < 0.0, -one, one))
    ny = where(on_y, where(y < 0.0, -one, one), zero)
    nz = where(on_z, where(z < 0.0, -one, one), zero)
    if any_true(shape != BOX):
        gx = div(x, hx * hx)
        gy = div(y, hy * hy)
        gz = where(shape == ELLIPSOID, div(z, hz * hz), zero)
        rho = sqrt(div(x * x, hx * hx) + div(y * y, hy * hy))
        cap = (shape == CYLINDER) & (ez > (rho - 1.0) * minimum(hx, hy))
        gx = where(cap, zero, gx)
        gy = where(cap, zero, gy)
        gz = where(cap, where(z < 0.0, -one, one), gz)
        length = sqrt(gx * gx + gy * gy + gz * gz) + 1.0e-12
        nx = where(shape != BOX, div(gx, length), nx)
        ny = where(shape != BOX, div(gy, length), ny)
        nz = where(shape != BOX, div(gz, length), nz)
    return nx, ny, nz


def signed_distance(
    shape: Lanes, x: Lanes, y: Lanes, z: Lanes, hx: Lanes, hy: Lanes, hz: Lanes
) -> Lanes:
    """Signed distance to the surface, metres; exact for boxes and round cylinders.

    For ellipsoids the first-order bound of Quilez, "Distance functions" (2008).
    """
    zero = like(x, 0.0)
    ex = absolute(x) - hx
    ey = absolute(y) - hy
    ez = absolute(z) - hz
    if any_true(shape == CYLINDER):
        ax = div(x, hx)
        ay = div(y, hy)
        k0 = sqrt(ax * ax + ay * ay)
        bx = div(ax, hx)
        by = div(ay, hy)
        radial = div(k0 * (k0 - 1.0), maximum(sqrt(bx * bx + by * by), like(x, 1.0e-9)))
        radial = where(k0 < 1.0e-6, -minimum(hx, hy), radial)
        ex = where(shape == CYLINDER, radial, ex)
        ey = where(shape == CYLINDER, radial, ey)
    px = maximum(ex, zero)
    py = where(shape == CYLINDER, zero, maximum(ey, zero))
    pz = maximum(ez, zero)
    inside = minimum(maximum(maximum(ex, ey), ez), zero)
    distance = sqrt(px * px + py * py + pz * pz) + inside
    if any_true(shape == ELLIPSOID):
        ax = div(x, hx)
        ay = div(y, hy)
        az = div(z, hz)
        k0 = sqrt(ax * ax + ay * ay + az * az)
        bx = div(ax, hx)
        by = div(ay, hy)
        bz = div(az, hz)
        k1 = maximum(sqrt(bx * bx + by * by + bz * bz), like(x, 1.0e-9))
        bound = div(k0 * (k0 - 1.0), k1)
        bound = where(k0 < 1.0e-6, -minimum(minimum(hx, hy), hz), bound)
        distance = where(shape == ELLIPSOID, bound, distance)
    return distance


def edge_gap(enter: Lanes, leave: Lanes, a: Lanes, b: Lanes) -> Lanes:
    """Distance between a ray and the edge where it should enter one plane before leaving another.

    `a` and `b` are the ray's speeds across the two planes; positive when the ray passes inside.
    """
    lever = div(absolute(a * b), sqrt(a * a + b * b) + 1.0e-12)
    return (leave - enter) * lever


def clearance_box(
    ox: Lanes,
    oy: Lanes,
    oz: Lanes,
    dx: Lanes,
    dy: Lanes,
    dz: Lanes,
    hx: Lanes,
    hy: Lanes,
    hz: Lanes,
) -> Lanes:
    """How deep a unit ray passes inside a box's outline (negative: how far outside), and where.

    The outline of a box seen along the ray has six edges, each between a face that the ray enters
    and one that it leaves; the least of the six signed distances is the clearance.
    """
    ux = nonzero(dx)
    uy = nonzero(dy)
    uz = nonzero(dz)
    x0, x1 = slab(ox, ux, hx)
    y0, y1 = slab(oy, uy, hy)
    z0, z1 = slab(oz, uz, hz)
    xy = edge_gap(maximum(x0 - y1, y0 - x1), like(x0, 0.0), ux, uy)
    yz = edge_gap(maximum(y0 - z1, z0 - y1), like(x0, 0.0), uy, uz)
    zx = edge_gap(maximum(z0 - x1, x0 - z1), like(x0, 0.0), uz, ux)
    enter = maximum(maximum(x0, y0), z0)
    leave = minimum(minimum(x1, y1), z1)
    return minimum(minimum(xy, yz), zx), 0.5 * (enter + leave)


def clearance_cylinder(
    ox: Lanes,
    oy: Lanes,
    oz: Lanes,
    dx: Lanes,
    dy: Lanes,
    dz: Lanes,
    hx: Lanes,
    hy: Lanes,
    hz: Lanes,
) -> Lanes:
    """As `clearance_box`, for a capped cylinder."""
    uz = nonzero(dz)
    bx = div(dx, hx)
    by = div(dy, hy)
    ax = div(ox, hx)
    ay = div(oy, hy)
    dd = maximum(bx * bx + by * by, like(bx, 1.0e-9))
    t = -div(ax * bx + ay * by, dd)
    qx = ax + t * bx
    qy = ay + t * by
    q = sqrt(qx * qx + qy * qy)
    chord = sqrt(div(maximum(1.0 - q * q, like(q, 0.0)), dd))
    z0, z1 = slab(oz, uz, hz)
    radius = minimum(hx, hy)
    inward = sqrt(maximum(1.0 - q * q, like(q, 0.0)) * dd) * radius
    lever = div(absolute(inward * uz), sqrt(inward * inward + uz * uz) + 1.0e-12)
    overlap = minimum(z1 - (t - chord), (t + chord) - z0)
    lever = where(overlap < 0.0, maximum(lever, like(q, 0.25)), lever)
    clearance = minimum((1.0 - q) * radius, overlap * lever)
    return clearance, 0.5 * (maximum(t - chord, z0) + minimum(t + chord, z1))


def clearance_ellipsoid(
    ox: Lanes,
    oy: Lanes,
    oz: Lanes,
    dx: Lanes,
    dy: Lanes,
    dz: Lanes,
    hx: Lanes,
    hy: Lanes,
    hz: Lanes,
) -> Lanes:
    """As `clearance_box`, for an ellipsoid, to first order."""
    ax = div(ox, hx)
    ay = div(oy, hy)
    az = div(oz, hz)
    bx = div(dx, hx)
    by = div(dy, hy)
    bz = div(dz, hz)
    dd = maximum(bx * bx + by * by + bz * bz, like(bx, 1.0e-9))
    t = -div(ax * bx + ay * by + az * bz, dd)
    qx = ax + t * bx
    qy = ay + t * by
    qz = az + t * bz
    q = sqrt(qx * qx + qy * qy + qz * qz) + 1.0e-6
    gx = div(qx, hx)
    gy = div(qy, hy)
    gz = div(qz, hz)
    slope = maximum(div(sqrt(gx * gx + gy * gy + gz * gz), q), like(q, 1.0e-3))
    return div(1.0 - q, slope), t


def clearance(
    shape: Lanes,
    ox: Lanes,
    oy: Lanes,
    oz: Lanes,
    dx: Lanes,
    dy: Lanes,
    dz: Lanes,
    hx: Lanes,
    hy: Lanes,
    hz: Lanes,
) -> Lanes:
    """Signed clearance of a unit ray inside a primitive's outline, metres, and where."""
    inside = like(ox, -MISS)
    along = like(ox, -1.0)
    if any_true(shape == BOX):
        c, t = clearance_box(ox, oy, oz, dx, dy, dz, hx, hy, hz)
        inside = where(shape == BOX, c, inside)
        along = where(shape == BOX, t, along)
    if any_true(shape == CYLINDER):
        c, t = clearance_cylinder(ox, oy, oz, dx, dy, dz, hx, hy, hz)
        inside = where(shape == CYLINDER, c, inside)
        along = where(shape == CYLINDER, t, along)
    if any_true(shape == ELLIPSOID):
        c, t = clearance_ellipsoid(ox, oy, oz, dx, dy, dz, hx, hy, hz)
        inside = where(shape == ELLIPSOID, c, inside)
        along = where(shape == ELLIPSOID, t, along)
    return inside, along
