"""Describe Picture: words for a picture by a model that writes, in a style; and where such a model is, if not here."""

from __future__ import annotations

from typing import Any

from ..core.describe import KNOWN_CAPTIONERS, Describer, check_describer
from ..core.describe.endpoint.address import Address
from ..core.describe.endpoint.allowed import NAMED, allowed, named_endpoints
from ..core.describe.endpoint.endpoint import check_endpoint
from ..core.errors import ModelError, SettingsError
from ..core.micro.toy import MICRO, MICRO_CHAT
from ..core.progress import Progress
from ..core.prompt_syntax import escape
from ..core.settings import QUANTIZATIONS, WRITING_STYLES, CaptionSettings, EndpointSettings, one_of
from . import host
from .describers import DescriberType, GraphWriter, Server, server_name
from .files import captioner_folders, path_of
from .host import io
from .inputs import only
from .kept import keep
from .links import linked
from .looks import pictures_alone
from .models import ModelNode, chosen_describer, named_describer
from .taken import opened, toy_note
from .widgets import holds_to_widgets
from .wording import BY_SERVER, DESCRIBING, SERVING

_LARGEST_SEED = 2**64 - 1
_ALIASES = [
    *("image description", "describe image", "vision language model", "vlm", "llm vision", "image to text"),
    *("joycaption", "joy caption", "florence2", "qwen vl", "qwen3 vl", "gemma vision", "llava", "internvl"),
    *("caption image", "image caption", "training caption", "prompt from image", "ollama vision"),
]
_SERVER_ALIASES = [
    *("ollama", "lm studio", "llama.cpp", "vllm", "openai api", "chat completions", "remote llm", "local llm"),
    *("vision api", "llm server", "describe image api"),
]


class DescribePicture(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderDescribePicture",
            display_name="Describe Picture",
            category="unrender",
            search_aliases=_ALIASES,
            description="Describes a picture in the style you choose, with a vision-language model by name, a server, "
            "or the text encoder in the graph. A model is downloaded into models/unrender when first used.",
            is_input_list=True,
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=_inputs(),
            outputs=[
                io.String.Output("text", display_name="text", is_output_list=True, tooltip="A text for each picture.")
            ],
        )

    @classmethod
    @holds_to_widgets
    def execute(cls, image: list[Any], **inputs: list[Any]) -> io.NodeOutput:
        by_server = bool(inputs.get("describer"))
        with host.reporting(cls.hidden.unique_id, BY_SERVER if by_server else DESCRIBING) as progress:
            values = only(inputs)
            settings, pictures = _settings(values), pictures_alone(image)
            describer = _describer(values, cls.hidden, progress)
            with progress.task("Describing"):
                found = describer.caption(map(opened, pictures), settings, progress)
        texts = [escape(text, "comfyui" if values["escape"] else "plain") for text in found]
        keep(cls.hidden, {0: texts})
        return io.NodeOutput(texts, ui=host.shown(*texts, notes=toy_note(describer.name, pictures, "model")))


def _inputs() -> list[Any]:
    return [
        io.Image.Input("image", tooltip="The picture, or a batch of them: each is described."),
        io.Combo.Input(
            "model",
            options=[*KNOWN_CAPTIONERS, *captioner_folders(), MICRO_CHAT, MICRO],
            default="florence-2-base",
            tooltip="What writes. Folders in transformers format under models/unrender are offered too. micro-chat and "
            "micro are toys for trying things out.",
        ),
        io.Combo.Input(
            "style",
            options=list(WRITING_STYLES),
            default="paragraph",
            tooltip="words: a few of them. tags: a list. sentence, paragraph: for FLUX, Qwen-Image and others that "
            "read sentences. training: a plain caption to train with. keywords: subject, medium, light, colours.",
        ),
        io.String.Input(
            "instruction",
            default="",
            multiline=True,
            tooltip="What the model is asked, in place of what the style asks. BLIP and GIT continue it; Florence-2 "
            "takes its tasks, such as <CAPTION>.",
        ),
        io.Int.Input("max_length", default=0, min=0, max=4096, tooltip="Tokens at most; 0 for what suits the style."),
        io.Float.Input(
            "temperature",
            default=0.0,
            min=0.0,
            max=2.0,
            step=0.05,
            tooltip="0 takes the likeliest words, the same each time. Above it words are drawn, others with each seed.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=_LARGEST_SEED,
            control_after_generate=True,
            tooltip="Of the words that are drawn: the same seed gives the same words.",
        ),
        io.Boolean.Input("trim", default=True, tooltip='Leave out beginnings such as "The image shows", and markdown.'),
        io.Boolean.Input(
            "escape",
            default=True,
            tooltip="Write round brackets as \\( and \\), so that CLIP Text Encode does not take them for weights.",
        ),
        *_advanced_inputs(),
        DescriberType.Input(
            "describer", optional=True, tooltip="A server in the model's place, from Describer From Server."
        ),
        io.Clip.Input(
            "clip",
            optional=True,
            tooltip="A text encoder of the graph in the model's place, where it is a language model that sees and "
            "writes, such as Gemma 3 or Qwen3-VL: no other model is loaded.",
        ),
    ]


def _advanced_inputs() -> list[Any]:
    return [
        *host.advanced(
            io.String.Input(
                "system", default="", multiline=True, tooltip="The system message; empty for the model's own."
            ),
            io.Float.Input(
                "top_p",
                default=1.0,
                min=0.01,
                max=1.0,
                step=0.01,
                tooltip="Words are drawn from the likeliest that make up this share.",
            ),
            io.Float.Input(
                "repetition",
                default=1.0,
                min=0.1,
                max=2.0,
                step=0.01,
                tooltip="The penalty on words that were written already; 1 for none.",
            ),
            io.Int.Input(
                "beams",
                default=1,
                min=1,
                max=16,
                tooltip="Beams of the search at temperature 0; 1 is the quickest.",
            ),
            io.Combo.Input(
                "quantization",
                options=list(QUANTIZATIONS),
                default="none",
                tooltip="Loads the model in eight or four bits, which needs CUDA and bitsandbytes. It cannot wait in "
                "main memory then, and is loaded anew for each run.",
            ),
        ),
    ]


def _settings(values: dict[str, Any]) -> CaptionSettings:
    server = _server(values)
    return CaptionSettings(
        instruction=values["instruction"].strip(),
        max_length=values["max_length"] or None,
        beams=values["beams"],
        style=values["style"],
        system=values["system"].strip() or None,
        temperature=values["temperature"],
        top_p=values["top_p"],
        seed=values["seed"],
        repetition=values["repetition"],
        trim=values["trim"],
        endpoint=EndpointSettings() if server is None else server.settings,
    )


def _server(values: dict[str, Any]) -> Server | None:
    describer = values.get("describer")
    return None if describer is None else linked(describer, Server, "describer")


def _describer(values: dict[str, Any], hidden: Any, progress: Progress) -> Describer:
    server, clip = _server(values), values.get("clip")
    if server is not None and clip is not None:
        raise SettingsError("A describer and a clip are connected", "leave one of them out")
    if clip is not None:
        return GraphWriter(clip)
    if server is not None:
        return named_describer(server.name).placed(progress)
    name, bits = path_of(values["model"], captioner_folders(), "captioner"), values["quantization"]
    one_of("quantization", bits, QUANTIZATIONS)
    check_describer(name)
    return chosen_describer(hidden, name, bits).placed(progress)


class DescriberServer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderDescriberServer",
            display_name="Describer From Server",
            category="unrender",
            search_aliases=_SERVER_ALIASES,
            description="A vision-language model that runs in Ollama, LM Studio, llama.cpp, vLLM or any other server "
            "with OpenAI's interface, for Describe Picture. Asked are servers on this machine alone, and those that "
            "UNRENDER_ENDPOINTS names where ComfyUI is started. A key is read from UNRENDER_ENDPOINT_KEY.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.String.Input(
                    "address",
                    default="http://127.0.0.1:11434/v1",
                    tooltip="Of the server, with the /v1 that most have.",
                ),
                io.String.Input("model", default="", tooltip="One of the server's; empty where it has one alone."),
                io.Int.Input(
                    "longest_side",
                    default=1024,
                    min=64,
                    max=4096,
                    tooltip="Of the picture that is sent, in pixels: larger ones are made smaller.",
                ),
                *host.advanced(
                    io.String.Input(
                        "keep_alive",
                        default="",
                        tooltip="How long Ollama keeps the model in memory, such as 5m, 0 or -1.",
                    ),
                    io.Boolean.Input("thinking", default=False, tooltip="Let the model think before it answers."),
                    io.Float.Input(
                        "timeout",
                        default=120.0,
                        min=1.0,
                        max=3600.0,
                        tooltip="Seconds to wait for the server's next word.",
                    ),
                    io.Int.Input("retries", default=2, min=0, max=10, tooltip="After failures that may pass."),
                ),
            ],
            outputs=[DescriberType.Output("describer", display_name="describer", tooltip="For Describe Picture.")],
        )

    @classmethod
    @holds_to_widgets
    def execute(
        cls, address: str, model: str, longest_side: int, keep_alive: str, thinking: bool, timeout: float, retries: int
    ) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id, SERVING):
            name = server_name(address, model)
            check_endpoint(name)
            if not allowed(name, named_endpoints()):
                raise ModelError(
                    f"{Address.of(name).base} is not on this machine, and a workflow from elsewhere may not send "
                    "pictures wherever it likes",
                    f"start ComfyUI with the address in {NAMED}",
                )
            settings = EndpointSettings(keep_alive.strip(), thinking, longest_side, timeout, retries)
        return io.NodeOutput(Server(name, settings))
