"""Fitted estimators in files of their own."""

from .persistence import load, save

__all__ = ["load", "save"]
