from typing import Any

AlwaysVisible = object()


class Script:
    infotext_fields: Any = None
    paste_field_names: Any = None
