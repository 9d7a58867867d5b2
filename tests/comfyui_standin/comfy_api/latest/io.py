"""The part of comfy_api.latest.io that the nodes use."""

from __future__ import annotations

from enum import Enum
from typing import Any


class Hidden(str, Enum):
    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"


class HiddenHolder:
    def __init__(self, unique_id: str | None = None, prompt: Any = None) -> None:
        self.unique_id = unique_id
        self.prompt = prompt


class FolderType(str, Enum):
    input = "input"


class UploadType(str, Enum):
    image = "image_upload"


class Input:
    """What all inputs have; `kind` is the socket's type."""

    kind = "*"

    def __init__(
        self, id: str, display_name: str | None = None, optional: bool = False, tooltip: str | None = None
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.extra_dict: dict[str, Any] = {}


class Output:
    kind = "*"

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list


class ComfyType:
    Input: type[Input]
    Output: type[Output]


class _Widget(Input):
    default: Any


def Custom(io_type: str) -> type[ComfyType]:
    return type(
        io_type,
        (ComfyType,),
        {
            "Input": type("Input", (Input,), {"kind": io_type}),
            "Output": type("Output", (Output,), {"kind": io_type}),
        },
    )


Image = Custom("IMAGE")
Mask = Custom("MASK")
Clip = Custom("CLIP")
ClipVision = Custom("CLIP_VISION")
Model = Custom("MODEL")
Vae = Custom("VAE")
ClipVisionOutput = Custom("CLIP_VISION_OUTPUT")
Conditioning = Custom("CONDITIONING")


class MultiType:
    class Input(Input):
        def __init__(
            self, id: str, types: list[type[ComfyType]], optional: bool = False, tooltip: str | None = None
        ) -> None:
            super().__init__(id, optional=optional, tooltip=tooltip)
            self.kind = ",".join(each.Input.kind for each in types)


class Boolean:
    class Input(_Widget):
        kind = "BOOLEAN"

        def __init__(self, id: str, optional: bool = False, tooltip: str | None = None, default: Any = None) -> None:
            super().__init__(id, optional=optional, tooltip=tooltip)
            self.default = default


class _Number(_Widget):
    def __init__(
        self,
        id: str,
        optional: bool = False,
        tooltip: str | None = None,
        default: Any = None,
        min: Any = None,
        max: Any = None,
        step: Any = None,
    ) -> None:
        super().__init__(id, optional=optional, tooltip=tooltip)
        self.default, self.min, self.max, self.step = default, min, max, step


class Int:
    class Input(_Number):
        kind = "INT"

        def __init__(self, id: str, *, control_after_generate: bool | None = None, **values: Any) -> None:
            super().__init__(id, **values)
            self.control_after_generate = control_after_generate

    class Output(Output):
        kind = "INT"


class Float:
    class Input(_Number):
        kind = "FLOAT"

    class Output(Output):
        kind = "FLOAT"


class String:
    class Input(_Widget):
        kind = "STRING"

        def __init__(
            self,
            id: str,
            optional: bool = False,
            tooltip: str | None = None,
            multiline: bool = False,
            default: str | None = None,
            force_input: bool | None = None,
        ) -> None:
            super().__init__(id, optional=optional, tooltip=tooltip)
            self.multiline, self.default, self.force_input = multiline, default, force_input

    class Output(Output):
        kind = "STRING"


class Combo:
    class Input(_Widget):
        kind = "COMBO"

        def __init__(
            self,
            id: str,
            options: list[str] | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            default: str | None = None,
            upload: UploadType | None = None,
            image_folder: FolderType | None = None,
        ) -> None:
            super().__init__(id, optional=optional, tooltip=tooltip)
            self.options = options or []
            self.default = default
            self.upload, self.image_folder = upload, image_folder


class Schema:
    def __init__(
        self,
        node_id: str,
        display_name: str,
        category: str = "sd",
        inputs: list[Any] | None = None,
        outputs: list[Any] | None = None,
        hidden: list[Hidden] | None = None,
        description: str = "",
        is_input_list: bool = False,
        is_output_node: bool = False,
    ) -> None:
        self.node_id = node_id
        self.display_name = display_name
        self.category = category
        self.inputs: list[Any] = inputs or []
        self.outputs: list[Any] = outputs or []
        self.hidden = hidden or []
        ids = [each.id for each in (*self.inputs, *self.outputs)]
        if len(ids) != len(set(ids)):
            raise ValueError("Ids must be unique between inputs and outputs.")  # as the real one, for the whole pack
        self.description = description
        self.is_input_list = is_input_list
        self.is_output_node = is_output_node
        self.search_aliases: list[str] = []


class ComfyNode:
    hidden = HiddenHolder()

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError


class NodeOutput:
    def __init__(self, *args: Any, ui: dict[str, Any] | None = None) -> None:
        self.args = args
        self.ui = ui
