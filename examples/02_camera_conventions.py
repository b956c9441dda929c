"""Camera conventions: where +x is, what depth means, and how to get from a pixel to the world.

You learn the axes of camera and world (OpenCV and z up) by lifting the pixels of one frame into
3D with their depth and finding them again in a second view. Writes out/02_cameras.png.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from worldfm_gym import Camera, make_world
from worldfm_gym.camera import heading_c2w
from worldfm_gym.renderer import make_renderer


def main() -> None:
    world = make_world("rooms", seed=0)
    position = world.start_c2w[:3, 3]
    yaw = np.arctan2(world.start_c2w[1, 2], world.start_c2w[0, 2])  # the camera looks along its +z
    step_left = [-0.3 * np.sin(yaw), 0.3 * np.cos(yaw), 0.0]
    c2w = heading_c2w(np.stack([position, position + step_left]), yaw)
    cameras = Camera.from_fov(c2w, 90.0, width=320, height=240)
    frame = make_renderer("anchor", [world]).render(cameras, np.zeros(2, np.int64))

    right, down, forward = c2w[0, :3, :3].T  # columns of c2w: the camera's axes in the world
    print("right  ", right.round(2), " has no height: the camera is level")
    print("down   ", down.round(2), " is world −z")
    print("forward", forward.round(2))

    points_world = cameras[0].unproject(frame.depth[0]).reshape(-1, 3)
    pixels, depth_z = cameras[1].project(points_world)
    u, v = np.floor(pixels).astype(int).T  # pixel centers lie at +½
    seen = (depth_z > 0) & (u >= 0) & (u < 320) & (v >= 0) & (v < 240)
    there = frame.depth[1][v[seen], u[seen]]
    agree = np.abs(there - depth_z[seen]) < 0.03 * depth_z[seen]
    print(f"{agree.mean():.0%} of the first view's pixels are where the second sees them;")
    print("the others are hidden there by something nearer")

    Path("out").mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(list(frame.rgb), axis=1)).save("out/02_cameras.png")


if __name__ == "__main__":
    main()
