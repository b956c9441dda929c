"""The depth stage at toy size: it learns, saves, goes on and starts from the command line."""

import pytest
import torch
from safetensors.torch import load_file

from worldfm_agents.cli import main
from worldfm_gym.errors import CheckpointError, ConfigError
from worldfm_gym.reconstruction.depth_model import DepthModel
from worldfm_gym.reconstruction.depth_network import DepthNetConfig
from worldfm_gym.training.checkpoint import CHECKPOINT_NAME, MODEL_NAME
from worldfm_gym.training.depth_scenes import DepthDataConfig
from worldfm_gym.training.depth_stage import DepthOptions, train_depth
from worldfm_gym.training.options import OptimizerOptions

TINY = DepthNetConfig(widths=(8, 8, 16, 32), down=(1, 1), attention=1)


def options(out, **values):
    settings = {
        "steps": 4, "batch": 4, "device": "cpu", "workers": 0, "log_every": 2, "held_out": 0,
        "model": TINY, "data": DepthDataConfig.toy(),
        "optimizer": OptimizerOptions(learning_rate=3e-3, warmup_steps=5),
    }  # fmt: skip
    return DepthOptions(out=out, **(settings | values))


def losses(text):
    """Loss figures of a run's printed lines."""
    lines = [line.split() for line in text.splitlines() if " loss " in line]
    return [float(words[words.index("loss") + 1]) for words in lines]


def test_the_loss_falls(tmp_path, capsys):
    data = DepthDataConfig(
        kinds=("rooms",), sizes=((48, 32),), size_shares=(1.0,), views=8, pool_worlds=2, reuse=1e4
    )
    train_depth(options(tmp_path, steps=60, batch=8, log_every=10, data=data))
    seen = losses(capsys.readouterr().out)
    assert seen[-1] < 0.8 * seen[0]


def test_a_run_goes_on_where_it_stopped(tmp_path, capsys):
    train_depth(options(tmp_path, steps=3))
    first = load_file(tmp_path / CHECKPOINT_NAME)
    assert int(first["updates"]) == 3
    model = DepthModel.from_pretrained(tmp_path / MODEL_NAME)
    assert model.metadata["steps"] == "3"
    train_depth(options(tmp_path, steps=5, resume=True))
    assert int(load_file(tmp_path / CHECKPOINT_NAME)["updates"]) == 5
    assert "step 5" in capsys.readouterr().out
    before = (tmp_path / MODEL_NAME).read_bytes()
    train_depth(options(tmp_path, steps=5, resume=True))
    assert int(load_file(tmp_path / CHECKPOINT_NAME)["updates"]) == 5
    again = DepthModel.from_pretrained(tmp_path / MODEL_NAME).network.state_dict()
    (tmp_path / MODEL_NAME).write_bytes(before)
    old = DepthModel.from_pretrained(tmp_path / MODEL_NAME).network.state_dict()
    assert all(torch.equal(again[name], old[name]) for name in old)
    assert not list(tmp_path.glob("*.part"))


def test_a_run_starts_from_a_model(tmp_path):
    train_depth(options(tmp_path / "a", steps=2))
    start = tmp_path / "a" / MODEL_NAME
    slow = OptimizerOptions(learning_rate=1e-9, warmup_steps=1)
    train_depth(
        options(tmp_path / "b", steps=1, init=start, optimizer=slow, model=DepthNetConfig())
    )
    networks = [DepthModel.from_pretrained(p).network for p in (start, tmp_path / "b" / MODEL_NAME)]
    first, second = (network.state_dict() for network in networks)
    assert networks[1].config == TINY
    assert all(torch.allclose(first[name], second[name], atol=1e-3) for name in first)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="can't be read"):
        train_depth(options(tmp_path, resume=True))


def test_a_checkpoint_of_another_stage_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / CHECKPOINT_NAME)
    with pytest.raises(CheckpointError, match="not a checkpoint of this depth stage"):
        train_depth(options(tmp_path, resume=True))


@pytest.mark.parametrize(
    "values",
    [
        {"steps": None},
        {"batch": 0},
        {"held_out": -1},
        {"resume": True, "init": "model.safetensors"},
        {"data": DepthDataConfig(held_out=True)},
    ],
)
def test_bad_options_are_refused(tmp_path, values):
    with pytest.raises(ConfigError):
        options(tmp_path, **values)


def test_the_command_scores_photos_and_worlds(tmp_path, capsys):
    from pathlib import Path

    import worldfm_gym

    garage = Path(worldfm_gym.__file__).parent / "data" / "garage"
    arguments = (
        f"train depth --out {tmp_path} --steps 1 --batch 2 --device cpu --workers 0 --held-out 2 "
        f"--photos {garage} --model.widths 8 8 16 32 --model.down 1 1 --model.attention 1 "
        "--data.kinds rooms --data.sizes 48 32 --data.size-shares 1 --data.views 5 "
        "--data.pool-worlds 1"
    )
    main(arguments.split())
    printed = capsys.readouterr().out
    assert "worlds/absrel" in printed
    assert "garage/lens unknown/delta" in printed
    for name in ("augmented", "held_out", "photos"):
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
