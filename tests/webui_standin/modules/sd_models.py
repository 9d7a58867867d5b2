from types import SimpleNamespace
from typing import Any

moves: list[str] = []
model_data = SimpleNamespace(sd_model=None)


def send_model_to_cpu(model: Any) -> None:
    moves.append(f"{model} to cpu")


def send_model_to_device(model: Any) -> None:
    moves.append(f"{model} to device")
