"""Every example runs to its end, alone, in a folder of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))
EXPECTED = {
    "01_first_env": "success True",
    "02_camera_conventions": "% of the first view's pixels",
    "03_your_own_scan": "navigation: yes",
    "04_vector_of_worlds": "the same poses in both: True",
    "05_photo_to_world": "success True",
    "06_vector_env": "number 3 is what one alone is: True",
    "07_what_if": "Remove: 100% of its pixels differ",
    "09_a_team": "met: True",
    "08_benchmark_your_agent": "| my-mazes | mine | anchor | 6 |",
}


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_says_what_it_promises(script: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert EXPECTED[script.stem] in run.stdout
    assert not run.stderr


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_is_short_and_says_what_one_learns(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) < 60
    assert "You learn" in text.split('"""')[1]
