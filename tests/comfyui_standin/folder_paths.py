"""Model folders under `models_dir`, which tests point elsewhere."""

from __future__ import annotations

import mimetypes
from pathlib import Path

models_dir = "models"
input_directory = "input"
folder_names_and_paths: dict[str, list[str]] = {}


def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
    paths = folder_names_and_paths.setdefault(folder_name, [])
    if full_folder_path not in paths:
        paths.insert(0 if is_default else len(paths), full_folder_path)


def get_folder_paths(folder_name: str) -> list[str]:
    return folder_names_and_paths.get(folder_name, [str(Path(models_dir) / folder_name)])[:]


def get_input_directory() -> str:
    return input_directory


def filter_files_content_types(files: list[str], content_types: list[str]) -> list[str]:
    return [name for name in files if (mimetypes.guess_type(name)[0] or "").split("/")[0] in content_types]


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    return str(Path(default_dir or input_directory) / name)


def exists_annotated_filepath(name: str) -> bool:
    return Path(get_annotated_filepath(name)).is_file()
