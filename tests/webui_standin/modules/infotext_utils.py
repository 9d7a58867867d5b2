from typing import Any

paste_fields: dict[str, dict[str, Any]] = {"txt2img": {}, "img2img": {}, "inpaint": {}, "extras": {}}


class ParamBinding:
    def __init__(self, paste_button: Any, tabname: str, source_image_component: Any = None) -> None:
        self.paste_button, self.tabname, self.source_image_component = paste_button, tabname, source_image_component


def register_paste_params_button(binding: ParamBinding) -> None:
    pass
