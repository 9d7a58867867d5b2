# The extension is written for three major versions, which differ: none of their types fits all.
from typing import Any

def __getattr__(name: str) -> Any: ...
