from collections.abc import Callable
from typing import Any

registered: list[tuple[str, Callable[..., Any]]] = []


def on_ui_settings(callback: Callable[..., Any]) -> None:
    registered.append(("ui_settings", callback))


def on_after_component(callback: Callable[..., Any]) -> None:
    registered.append(("after_component", callback))


def on_ui_tabs(callback: Callable[..., Any]) -> None:
    registered.append(("ui_tabs", callback))


def on_script_unloaded(callback: Callable[..., Any]) -> None:
    registered.append(("script_unloaded", callback))


def on_cfg_denoiser(callback: Callable[..., Any]) -> None:
    registered.append(("cfg_denoiser", callback))


def on_before_ui(callback: Callable[..., Any]) -> None:
    registered.append(("before_ui", callback))


def on_app_started(callback: Callable[..., Any]) -> None:
    registered.append(("app_started", callback))


class CFGDenoiserParams:
    def __init__(self, x: Any, denoiser: Any = None) -> None:
        self.x, self.denoiser = x, denoiser
