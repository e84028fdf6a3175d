"""The version; `pyproject.toml` reads it from here, and so do frozen applications."""

__version__ = "0.1.0"
