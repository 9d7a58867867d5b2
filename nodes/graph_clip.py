"""A Clip made of the text encoder and the vision model that a graph holds."""

from __future__ import annotations
