"""What PyInstaller must know of fastnet; it finds this by the entry point in pyproject.toml."""

from pathlib import Path


def hook_folders() -> list[str]:
    """Return the folders with files named ``hook-<module>.py``."""
    return [str(Path(__file__).parent)]
