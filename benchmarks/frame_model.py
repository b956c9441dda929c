"""How fast the frame model draws: the network alone, with its references' keys and values cached.

    python benchmarks/frame_model.py [--device cuda|cpu] [--batch 1 8 32 ...] [--size 128]
        [--steps 1] [--references 2] [--profile] [--tune-seconds 60]

Weights are random unless --model is given: speed does not depend on them. Frames of the fused path
are compared with the plain float32 network first.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable

import torch
from hardware import cpu_name, gpu_name, table

from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.frame_model.sampler import bind, sample
from worldfm_gym.frame_model.targets import Targets

H200_TFLOPS, H200_GB_PER_S = 790, 4800


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, nargs="+")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--references", type=int, default=2)
    parser.add_argument("--model", help="a .safetensors file or a shipped model's name")
    parser.add_argument("--profile", action="store_true", help="print what each kernel takes")
    parser.add_argument("--tune-seconds", type=float, default=0, help="try other launches so long")
    args = parser.parse_args()
    if args.model:
        network = FrameModel.from_pretrained(args.model, device=args.device).network
    else:
        network = random_network(args.device)
    with torch.no_grad():
        (on_cpu if args.device == "cpu" else on_gpu)(network, args)


def random_network(device: str) -> FrameDiT:
    """A network that changes its input visibly."""
    torch.manual_seed(0)
    network = FrameDiT(FrameModelConfig()).eval().requires_grad_(False)
    torch.nn.init.normal_(network.to_pixels.weight, std=0.03)
    for name, weight in network.named_parameters():
        if "table" in name or "modulation" in name:
            weight += 0.2 * torch.randn_like(weight)
    return network.to(device)


def example(
    network: FrameDiT, batch: int, size: int, references: int
) -> tuple[Targets, torch.Tensor, torch.Tensor]:
    """Targets, and channels and lenses of 4 references (or as many as are asked for)."""
    random = torch.Generator().manual_seed(0)
    device = network.ref_modulation.device
    most = max(4, references)
    lens = torch.tensor([size / 2, size / 2, size / 2, size / 2], dtype=torch.float32)
    relative = torch.eye(4) + 0.2 * torch.randn(batch, references, 4, 4, generator=random)
    targets = Targets(
        noise=torch.randn(batch, 4, size, size, generator=random),
        conditioning=torch.rand(batch, 9, size, size, generator=random) * 2 - 1,
        intrinsics=lens.repeat(batch, 1),
        index=torch.randint(0, most, (batch, references), generator=random),
        relative=relative,
        log_weight=torch.zeros(batch, references),
    )
    images = torch.rand(most, 5, size, size, generator=random) * 2 - 1
    moved = (getattr(targets, f.name).to(device) for f in dataclasses.fields(targets))
    return Targets(*moved), images.to(device), lens.repeat(most, 1).to(device)


def plain(network: FrameDiT, targets: Targets, memory: KeysValues, steps: int) -> torch.Tensor:
    """What the network itself draws."""
    gathered = KeysValues(
        *(t[:, targets.index].flatten(2, 3) for t in (memory.keys, memory.values))
    )
    bound = bind(network, targets.conditioning, targets.intrinsics, gathered, targets.relative)
    return sample(bound, targets.noise, steps=steps)


def gflop_per_frame(config: FrameModelConfig, size: int, references: int) -> float:
    """Multiplications and additions of one pass, in 10⁹."""
    tokens, half = (size // config.patch) ** 2, (size // 2) ** 2
    width, stem = config.width, config.stem
    linear = config.depth * (4 + 2 * config.mlp_ratio) * width * width * tokens
    attention = config.depth * 2 * tokens * tokens * (1 + references) * width
    cells = (config.patch // 2) ** 2
    convolutions = 9 * half * stem * (52 + stem + config.detail + 16)
    patches = tokens * cells * width * (stem + config.detail)
    return 2 * (linear + attention + convolutions + patches) / 1e9


def mb_per_frame(config: FrameModelConfig, size: int, references: int) -> float:
    """What the launches of the fused path read and write once, in 10⁶ bytes."""
    tokens, half = (size // config.patch) ** 2, (size // 2) ** 2
    row = tokens * config.width * 2
    block = row * (1 + 3) + row * (3 + 2 * references + 1) + row * 3
    images = 4 * size * size * (13 + 9 + 4)
    features = 2 * half * (64 + 64 + 64 + 128 + 128 + 64 + 64)
    return (config.depth * block + 2 * row + images + features) / 1e6


def on_gpu(network: FrameDiT, args: argparse.Namespace) -> None:
    """Check, then time the plain network and the fused one for each batch size."""
    from worldfm_gym.frame_model import fused
    from worldfm_gym.frame_model.fused import FusedFrameDiT

    print(gpu_name())
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    fast = FusedFrameDiT(network)
    for batch in (2, 40):
        targets, images, lenses = example(network, batch, args.size, args.references)
        started = time.perf_counter()
        drawn = fast.sample(targets, fast.encode_references(images, lenses), steps=args.steps)
        torch.cuda.synchronize()
        took = time.perf_counter() - started
        truth = plain(network, targets, network.encode_references(images, lenses), args.steps)
        error = (drawn - truth).square().mean()
        change = (truth - targets.conditioning[:, :4]).square().mean().sqrt()
        print(
            f"batch {batch}: compiled in {took:.0f} s, PSNR {10 * (4 / error).log10():.1f} dB "
            f"against the plain float32 network, which changes its input by {change:.2f} (RMS)"
        )
    if args.tune_seconds:
        for few, batch in ((True, 1), (False, 64)):
            tuned = tune(network, batch, args, args.tune_seconds / 2)
            print(f"best for batch {batch}: {tuned}")
            setattr(fused, "FEW_TOKENS" if few else "MANY_TOKENS", tuned)
    gflop = gflop_per_frame(network.config, args.size, args.references) * args.steps
    mb = mb_per_frame(network.config, args.size, args.references) * args.steps
    print(f"{gflop:.2f} GFLOP and {mb:.1f} MB a frame")
    rows = []
    for batch in args.batch or (1, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 512, 1024):
        targets, images, lenses = example(network, batch, args.size, args.references)
        memory = fast.encode_references(images, lenses)
        ms = graph_ms(lambda t=targets, m=memory: fast.sample(t, m, steps=args.steps))
        rows.append(gpu_row("fused", batch, ms, gflop, mb))
    for batch in (1, 128):
        targets, images, lenses = example(network, batch, args.size, args.references)
        with torch.autocast("cuda", torch.bfloat16):
            cached = network.encode_references(images, lenses)
            ms = graph_ms(lambda t=targets, m=cached: plain(network, t, m, args.steps))
        rows.append(gpu_row("plain, bf16 autocast", batch, ms, gflop, mb))
    print(table(["path", "batch", "ms", "frames/s", "TFLOP/s", "of 790", "GB/s", "of 4,800"], rows))
    if args.profile:
        for batch in (1, 64):
            targets, images, lenses = example(network, batch, args.size, args.references)
            memory = fast.encode_references(images, lenses)
            print(f"batch {batch}:")
            profile(lambda t=targets, m=memory: fast.sample(t, m, steps=args.steps))


def gpu_row(name: str, batch: int, ms: float, gflop: float, mb: float) -> list[str]:
    per_s = batch / ms * 1e3
    tflops, gb_per_s = per_s * gflop / 1e3, per_s * mb / 1e3
    return [
        name, str(batch), f"{ms:.3f}", f"{per_s:,.0f}", f"{tflops:.0f}",
        f"{tflops / H200_TFLOPS:.0%}", f"{gb_per_s:,.0f}", f"{gb_per_s / H200_GB_PER_S:.0%}",
    ]  # fmt: skip


def graph_ms(function: Callable[[], object]) -> float:
    """Median milliseconds of a replay of the function's CUDA graph."""
    for _ in range(2):
        function()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    times = []
    for _ in range(25):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times[5:])[10]


def tune(network: FrameDiT, batch: int, args: argparse.Namespace, seconds: float) -> object:
    """Try other launches, one kernel after the other, and keep what is faster."""
    from worldfm_gym.frame_model.fused import FEW_TOKENS, MANY_TOKENS, FusedFrameDiT, Launch

    few = batch < 32
    best = FEW_TOKENS if few else MANY_TOKENS
    fast = FusedFrameDiT(network, launches=best)
    targets, images, lenses = example(network, batch, args.size, args.references)
    memory = fast.encode_references(images, lenses)
    ms = graph_ms(lambda: fast.sample(targets, memory, steps=args.steps))
    print(f"batch {batch}: {ms:.4f} ms")
    small, large = (16, 32, 64), (64, 128)
    candidates = {
        "finish": [
            Launch(r, c, w, s)
            for r in (small if few else large)
            for c in (32, 64, 128)
            for w in (4, 8)
            for s in (2, 3)
            if not (r == 128 and w == 4)
        ],
        "attend": [
            Launch(r, c, w, s)
            for r in (small if few else large)
            for c in (64, 128)
            for w in (4, 8)
            for s in (2, 3)
        ],
        "heads": [
            Launch(r, c, w, s)
            for r in (small if few else large)
            for c in ((1, 2) if few else (3, 6, 12))
            for w in (4, 8)
            for s in (2, 3)
        ],
        "convolve": [
            Launch(r, c, w, s)
            for r in (small if few else (64, 128, 256))
            for c in (32, 64)
            for w in (4, 8)
            for s in (3, 5)
        ],
        "spread": [
            Launch(r, c, w, 3) for r in (16, 32, 64, 128) for c in (1, 4, 16) for w in (4, 8)
        ],
        "embed": [Launch(r, 64, w, s) for r in (16, 32, 64, 128) for w in (4, 8) for s in (3, 5)],
    }
    shares = {"finish": 0.3, "attend": 0.25, "heads": 0.15, "convolve": 0.15}
    for name, launches in candidates.items():
        until = time.perf_counter() + seconds * shares.get(name, 0.075)
        for launch in launches:
            if time.perf_counter() > until:
                print(f"  {name}: out of time before {launch}")
                break
            fast._launches = dataclasses.replace(best, **{name: launch})
            try:
                took = graph_ms(lambda: fast.sample(targets, memory, steps=args.steps))
            except Exception as error:
                print(f"  {name} {launch}: {type(error).__name__}")
                continue
            print(f"  {name} {launch}: {took:.4f} ms{' *' if took < ms else ''}")
            if took < ms:
                ms, best = took, dataclasses.replace(best, **{name: launch})
    return best


def profile(function: Callable[[], object]) -> None:
    """Print what each kernel takes."""
    from torch.profiler import ProfilerActivity

    for _ in range(3):
        function()
    with torch.profiler.profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(5):
            function()
        torch.cuda.synchronize()
    for event in sorted(profiler.key_averages(), key=lambda e: -e.device_time_total):
        if event.device_time_total:
            each = event.device_time_total / event.count
            print(f"  {event.key[:60]:60} {event.count // 5:4} × {each:8.1f} µs")


def on_cpu(network: FrameDiT, args: argparse.Namespace) -> None:
    """Time the plain network and the lean path, beside a matrix product of the same minute."""
    from worldfm_gym.frame_model.cpu_path import CpuFrameDiT

    lean = CpuFrameDiT(network)
    print(f"{cpu_name()} · {torch.get_num_threads()} threads · torch {torch.__version__}")
    rows = []
    for size in (64, 128):
        gflop = gflop_per_frame(network.config, size, args.references) * args.steps
        for batch in args.batch or (1,):
            targets, images, lenses = example(network, batch, size, args.references)
            cached = network.encode_references(images, lenses)
            kept = lean.encode_references(images, lenses)
            truth = plain(network, targets, cached, args.steps)
            drawn = lean.sample(targets, kept, steps=args.steps)
            error = float((truth - drawn).abs().max())
            paths = {
                "plain": lambda t=targets, m=cached: plain(network, t, m, args.steps),
                f"lean (off by {error:.0e})": lambda t=targets, m=kept: lean.sample(
                    t, m, steps=args.steps
                ),
            }
            for name, path in paths.items():
                speed, ms = matmul_gflops(), wall_ms(path)
                per_s = batch / ms * 1e3
                rows.append(
                    [
                        name, size, batch, f"{ms:.1f}", f"{per_s:.1f}",
                        f"{per_s * gflop:.0f}", f"{speed:.0f}",
                    ]
                )  # fmt: skip
    print(table(["path", "size", "batch", "ms", "frames/s", "GFLOP/s", "a matmul's GFLOP/s"], rows))


def matmul_gflops() -> float:
    """What torch's matrix product reaches on this machine now."""
    a, b = torch.rand(256, 1024), torch.rand(1024, 256)
    return 2 * 256 * 1024 * 256 / wall_ms(lambda: a @ b) / 1e6


def wall_ms(function: Callable[[], object]) -> float:
    """The least of some wall times: others may be using the cores."""
    for _ in range(2):
        function()
    times = []
    for _ in range(12):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


if __name__ == "__main__":
    main()
