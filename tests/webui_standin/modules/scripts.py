from typing import Any

AlwaysVisible = object()
scripts_data: list[Any] = []


class Script:
    infotext_fields: Any = None
    paste_field_names: Any = None
