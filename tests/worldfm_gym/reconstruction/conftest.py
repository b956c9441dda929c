"""Real data beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data"
    assert folder.is_dir(), f"tests need the data folder {folder}"
    return folder
