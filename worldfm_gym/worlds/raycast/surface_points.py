"""Surface points: lay a regular grid on a primitive's face and color it, patch by patch (Numba).

A patch is at most 8×8 samples of one face. What could hide, darken or shadow any of its samples
is looked up once per patch, so that a sample costs a few primitives and not a list of dozens.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from worldfm_gym.worlds.raycast import geometry, lighting, pixels
from worldfm_gym.worlds.raycast.grid_lists import AO_REACH, blocks, distance_to, in_shaft
from worldfm_gym.worlds.raycast.single_source import numba_compiler

_compile = numba_compiler()
_surface_rgb = _compile(pixels.surface_rgb)
_surface_light = _compile(pixels.surface_light)
_FLOATS, _INTS, _LIGHT = geometry.FLOATS, geometry.INTS, lighting.LIGHT_FLOATS
PATCH = 8
NODES = 4  # along either side of a patch, where its light is looked at first
_UNKNOWN = np.float32(1e9)
_LIGHT_STEP = np.float32(0.15)  # light between nodes that differ by less is interpolated
_PROBE_M = np.float32(0.004)  # a sample is hidden if the space this far in front of it is solid

BOX_FACES, SIDE, CAPS, SPHERE_FACES = 0, 6, 7, 9


@njit(nogil=True, error_model="numpy")
def local_sample(kind, u, v, hx, hy, hz):  # type: ignore[no-untyped-def]
    """Position and outward normal at (u, v) ∈ [−1, 1]² of a face, in the primitive's frame.

    Kinds 0–5 are the faces of a box (−x, +x, −y, …), 6 a cylinder's side, 7–8 its caps (squares
    mapped to discs after Shirley and Chiu 1997), 9–14 an ellipsoid's faces as a cube's.
    """
    x = y = z = nx = ny = nz = np.float32(0.0)
    one = np.float32(1.0)
    if kind < SIDE:
        sign = one if kind % 2 else -one
        if kind // 2 == 0:
            x, y, z, nx = sign * hx, u * hy, v * hz, sign
        elif kind // 2 == 1:
            x, y, z, ny = u * hx, sign * hy, v * hz, sign
        else:
            x, y, z, nz = u * hx, v * hy, sign * hz, sign
    elif kind == SIDE:
        angle = np.float32(np.pi) * u
        c, s = np.cos(angle), np.sin(angle)
        x, y, z, nx, ny = hx * c, hy * s, v * hz, c / hx, s / hy
    elif kind < SPHERE_FACES:
        quarter = np.float32(np.pi / 4)
        if abs(u) >= abs(v):
            rho, angle = u, quarter * v / (u if abs(u) > 1e-9 else one)
        else:
            rho, angle = v, quarter * (np.float32(2.0) - u / v)
        nz = one if kind == CAPS + 1 else -one
        x, y, z = rho * np.cos(angle) * hx, rho * np.sin(angle) * hy, nz * hz
    else:
        face = kind - SPHERE_FACES
        a, b = np.tan(np.float32(np.pi / 4) * u), np.tan(np.float32(np.pi / 4) * v)
        inverse = one / np.sqrt(one + a * a + b * b)
        sign = inverse if face % 2 else -inverse
        if face // 2 == 0:
            x, y, z = sign, a * inverse, b * inverse
        elif face // 2 == 1:
            x, y, z = a * inverse, sign, b * inverse
        else:
            x, y, z = a * inverse, b * inverse, sign
        nx, ny, nz = x / hx, y / hy, z / hz
        x, y, z = x * hx, y * hy, z * hz
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    return x, y, z, nx / length, ny / length, nz / length


@njit(nogil=True, error_model="numpy")
def _to_world(prims, b, x, y, z):  # type: ignore[no-untyped-def]
    """Turn a local vector into world axes."""
    return (
        prims[b + 3] * x + prims[b + 4] * y + prims[b + 5] * z,
        prims[b + 6] * x + prims[b + 7] * y + prims[b + 8] * z,
        prims[b + 9] * x + prims[b + 10] * y + prims[b + 11] * z,
    )


@njit(nogil=True, error_model="numpy")
def _outside(p, n, room):  # type: ignore[no-untyped-def]
    """Whether a static surface sample is on the building's outside, where nobody can see it."""
    tolerance = np.float32(0.01)
    if p[2] > room[4] - tolerance and n[2] > 0.5:
        return True
    for a in range(2):
        if p[a] < room[a] + tolerance and n[a] < -0.5:
            return True
        if p[a] > room[2 + a] - tolerance and n[a] > 0.5:
            return True
    return False


@njit(nogil=True, error_model="numpy")
def _in_front(prims, j, p, n):  # type: ignore[no-untyped-def]
    """Whether any part of primitive j is in front of the plane through p with normal n."""
    b = j * _FLOATS
    reach = np.float32(0.0)
    ahead = np.float32(0.0)
    for a in range(3):
        ahead += n[a] * (prims[b + a] - p[a])
        along = n[0] * prims[b + 3 + a] + n[1] * prims[b + 6 + a] + n[2] * prims[b + 9 + a]
        reach += abs(along) * prims[b + 12 + a]
    return ahead + reach > np.float32(1e-4)


@njit(nogil=True, error_model="numpy")
def _out_of_sight(prims, kinds, p, n, instance, room, solid, solid_count):  # type: ignore[no-untyped-def]
    """Whether nothing could ever see a sample: below the floor, outside, or inside a solid."""
    if p[2] < np.float32(-0.001) or (instance == 0 and _outside(p, n, room)):
        return True
    for k in range(solid_count):
        x, y, z = p[0] + _PROBE_M * n[0], p[1] + _PROBE_M * n[1], p[2] + _PROBE_M * n[2]
        if distance_to(prims, kinds, solid[k], x, y, z) < 0.0:
            return True
    return False


@njit(nogil=True, error_model="numpy")
def _between_nodes(nodes, a, b, out):  # type: ignore[no-untyped-def]
    """Light at node coordinates (a, b), bilinear; False where it changes too much for that."""
    i, k = min(int(a), NODES - 2), min(int(b), NODES - 2)
    fa, fb = a - i, b - k
    for c in range(4):
        n00, n10 = nodes[k, i, c], nodes[k, i + 1, c]
        n01, n11 = nodes[k + 1, i, c], nodes[k + 1, i + 1, c]
        low, high = min(min(n00, n10), min(n01, n11)), max(max(n00, n10), max(n01, n11))
        if not high - low <= _LIGHT_STEP * (high + _LIGHT_STEP):
            return False
        near = n00 + (n10 - n00) * fa
        out[c] = near + (n01 + (n11 - n01) * fa - near) * fb
    return True


@njit(nogil=True, error_model="numpy")
def _gather(starts, items, stride, offset, grid_f, grid_i, low, high, seen, out):  # type: ignore[no-untyped-def]
    """Union of the lists of all cells that a box low…high touches; `seen` is left cleared."""
    lo, hi = np.empty(3, np.int64), np.empty(3, np.int64)
    for a in range(3):
        lo[a] = min(max(int(np.floor((low[a] - grid_f[a]) * grid_f[3])), 0), grid_i[a] - 1)
        hi[a] = min(max(int(np.floor((high[a] - grid_f[a]) * grid_f[3])), 0), grid_i[a] - 1)
    count = 0
    for iz in range(lo[2], hi[2] + 1):
        for iy in range(lo[1], hi[1] + 1):
            for ix in range(lo[0], hi[0] + 1):
                row = ((iz * grid_i[1] + iy) * grid_i[0] + ix) * stride + offset
                for k in range(starts[row], starts[row + 1]):
                    if not seen[items[k]]:
                        seen[items[k]] = 1
                        out[count] = items[k]
                        count += 1
    for k in range(count):
        seen[out[k]] = 0
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def sample_patches(  # type: ignore[no-untyped-def]
    first, step,
    prims, kinds, lights, grid_f, grid_i, near_start, near_items, shadow_start, shadow_items,
    face_prim, face_kind, face_grid, face_pitch, patch_face, patch_corner, patch_start, room,
    points, colors, normals, kept,
):  # fmt: skip
    """Fill in each patch's samples that can be seen, from `patch_start`, counted in `kept`."""
    patches, prim_count = len(patch_face), len(kinds) // _INTS
    light_count = len(lights) // _LIGHT
    seen = np.zeros(prim_count, np.uint8)
    found = np.empty(prim_count, np.int32)
    near, solid = np.empty(prim_count, np.int32), np.empty(prim_count, np.int32)
    shadow = np.empty(prim_count * max(light_count, 1), np.int32)
    shadow_rows = np.zeros(light_count + 1, np.int32)
    near_rows = np.zeros(2, np.int32)
    blocker = np.full(light_count, -1, np.int32)  # what hid each light from a patch before
    hidden = np.empty(PATCH * PATCH, np.bool_)
    nodes, light = np.empty((NODES, NODES, 4), np.float32), np.empty(4, np.float32)
    some_lights = np.empty(light_count * _LIGHT, np.float32)
    local_grid_f, local_grid_i = grid_f.copy(), np.zeros(8, np.int32)
    local_grid_i[:3] = 1
    p = np.empty((PATCH * PATCH, 3), np.float32)
    n, q = np.empty((PATCH * PATCH, 3), np.float32), np.empty((PATCH * PATCH, 6), np.float32)
    low, high, middle = (
        np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32),
    )  # fmt: skip
    for patch in range(first, patches, step):
        face = patch_face[patch]
        j, kind = face_prim[face], face_kind[face]
        b = j * _FLOATS
        nu, nv = face_grid[face]
        u0, v0 = patch_corner[patch]
        u1, v1 = min(u0 + PATCH, nu), min(v0 + PATCH, nv)
        count = 0
        low[:], high[:] = 1e30, -1e30
        for iv in range(v0, v1):
            for iu in range(u0, u1):
                u = np.float32(2.0 * (iu + 0.5) / nu - 1.0)
                v = np.float32(2.0 * (iv + 0.5) / nv - 1.0)
                x, y, z, nx, ny, nz = local_sample(
                    kind, u, v, prims[b + 12], prims[b + 13], prims[b + 14]
                )
                q[count, 0], q[count, 1], q[count, 2] = x, y, z
                q[count, 3], q[count, 4], q[count, 5] = nx, ny, nz
                p[count, 0], p[count, 1], p[count, 2] = _to_world(prims, b, x, y, z)
                n[count, 0], n[count, 1], n[count, 2] = _to_world(prims, b, nx, ny, nz)
                for a in range(3):
                    p[count, a] += prims[b + a]
                    low[a] = min(low[a], p[count, a])
                    high[a] = max(high[a], p[count, a])
                count += 1
        radius = np.float32(0.0)
        for a in range(3):
            middle[a] = np.float32(0.5) * (low[a] + high[a])
            radius += (high[a] - middle[a]) ** 2
        radius = np.sqrt(radius)
        flat = kind < SIDE or (kind >= CAPS and kind < SPHERE_FACES)
        instance = kinds[j * _INTS + 3]

        total = _gather(near_start, near_items, 1, 0, grid_f, grid_i, low, high, seen, found)
        near_count = solid_count = 0
        for k in range(total):
            other = found[k]
            distance = distance_to(prims, kinds, other, middle[0], middle[1], middle[2])
            if other == j or (flat and not _in_front(prims, other, p[0], n[0])):
                continue
            if distance < radius + AO_REACH:
                near[near_count] = other
                near_count += 1
            owner = kinds[other * _INTS + 3]
            if distance < radius + np.float32(0.01) and (owner == 0 or owner == instance):
                solid[solid_count] = other
                solid_count += 1
        near_rows[1] = near_count

        in_view = 0
        for i in range(count):
            hidden[i] = _out_of_sight(prims, kinds, p[i], n[i], instance, room, solid, solid_count)
            in_view += not hidden[i]
        kept[patch] = in_view
        if in_view == 0:
            continue

        used = lit = 0
        for k in range(light_count):
            dx = lights[_LIGHT * k] - middle[0]
            dy = lights[_LIGHT * k + 1] - middle[1]
            dz = lights[_LIGHT * k + 2] - middle[2]
            if flat and n[0, 0] * dx + n[0, 1] * dy + n[0, 2] * dz <= -radius:
                continue
            if np.sqrt(dx * dx + dy * dy + dz * dz) > lights[_LIGHT * k + 6] + radius:
                continue
            if blocker[k] >= 0 and blocks(
                prims, kinds, blocker[k], middle[0], middle[1], middle[2], dx, dy, dz, radius,
                lights[_LIGHT * k + 7],
            ):  # fmt: skip
                continue
            some_lights[lit * _LIGHT : (lit + 1) * _LIGHT] = lights[k * _LIGHT : (k + 1) * _LIGHT]
            total = _gather(
                shadow_start, shadow_items, light_count, k, grid_f, grid_i, low, high, seen,
                found,
            )  # fmt: skip
            for i in range(total):
                other = found[i]
                if other == j or (flat and not _in_front(prims, other, p[0], n[0])):
                    continue
                if in_shaft(
                    prims, other, middle[0], middle[1], middle[2], dx, dy, dz, radius,
                    lights[_LIGHT * k + 7],
                ):  # fmt: skip
                    if blocks(
                        prims, kinds, other, middle[0], middle[1], middle[2], dx, dy, dz,
                        radius, lights[_LIGHT * k + 7],
                    ):  # fmt: skip
                        blocker[k] = other
                        used = -1
                        break
                    shadow[used] = other
                    used += 1
            if used < 0:  # the light is hidden: forget it
                used = shadow_rows[lit]
                continue
            lit += 1
            shadow_rows[lit] = used
        local_grid_i[6] = lit

        # Light changes slowly over most of a flat patch: look at a few nodes, interpolate between
        # those that agree, and look again only where they don't.
        sparse = flat and u1 - u0 > NODES and v1 - v0 > NODES
        for node in range(NODES * NODES if sparse else 0):
            a, c = node % NODES, node // NODES
            u = np.float32(2.0 * (u0 + (u1 - 1 - u0) * a / (NODES - 1) + 0.5) / nu - 1.0)
            v = np.float32(2.0 * (v0 + (v1 - 1 - v0) * c / (NODES - 1) + 0.5) / nv - 1.0)
            x, y, z, nx, ny, nz = local_sample(
                kind, u, v, prims[b + 12], prims[b + 13], prims[b + 14]
            )
            middle[0], middle[1], middle[2] = _to_world(prims, b, x, y, z)
            for i in range(3):
                middle[i] += prims[b + i]
            nodes[c, a] = _UNKNOWN
            if not _out_of_sight(prims, kinds, middle, n[0], instance, room, solid, solid_count):
                nodes[c, a, 0], nodes[c, a, 1], nodes[c, a, 2], nodes[c, a, 3] = _surface_light(
                    prims, kinds, some_lights, local_grid_f, local_grid_i, near_rows, near,
                    shadow_rows, shadow, np.int32(0), j, True, middle[0], middle[1], middle[2],
                    n[0, 0], n[0, 1], n[0, 2], face_pitch[face],
                )  # fmt: skip

        at = patch_start[patch]
        for i in range(count):
            if hidden[i]:
                continue
            if not sparse or not _between_nodes(
                nodes,
                np.float32((i % (u1 - u0)) * (NODES - 1)) / np.float32(u1 - 1 - u0),
                np.float32((i // (u1 - u0)) * (NODES - 1)) / np.float32(v1 - 1 - v0),
                light,
            ):
                light[0], light[1], light[2], light[3] = _surface_light(
                    prims, kinds, some_lights, local_grid_f, local_grid_i, near_rows, near,
                    shadow_rows, shadow, np.int32(0), j, True, p[i, 0], p[i, 1], p[i, 2],
                    n[i, 0], n[i, 1], n[i, 2], face_pitch[face],
                )  # fmt: skip
            r, g, blue = _surface_rgb(
                prims, kinds, j, True, q[i, 0], q[i, 1], q[i, 2], q[i, 3], q[i, 4], q[i, 5],
                n[i, 0], n[i, 1], n[i, 2], face_pitch[face], light[0], light[1], light[2], light[3],
            )  # fmt: skip
            colors[at, 0], colors[at, 1], colors[at, 2] = r, g, blue
            points[at, 0], points[at, 1], points[at, 2] = p[i, 0], p[i, 1], p[i, 2]
            normals[at, 0], normals[at, 1], normals[at, 2] = n[i, 0], n[i, 1], n[i, 2]
            at += 1


@njit(cache=True, nogil=True)
def close_ranks(  # type: ignore[no-untyped-def]
    first,
    step,
    start,
    kept,
    new_start,
    points,
    colors,
    normals,
    out_points,
    out_colors,
    out_normals,
):
    """Move the samples of patches first, first + step, … to where they go without gaps."""
    for patch in range(first, len(start), step):
        shift = new_start[patch] - start[patch]
        for i in range(start[patch], start[patch] + kept[patch]):
            for c in range(3):
                out_points[i + shift, c] = points[i, c]
                out_colors[i + shift, c] = colors[i, c]
                out_normals[i + shift, c] = normals[i, c]
