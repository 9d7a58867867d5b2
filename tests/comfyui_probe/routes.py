"""What the tests ask of a running ComfyUI beside its own API, and the settings that they make in it."""

import gc
import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import comfy.model_management
import comfy_execution.progress
import folder_paths
from aiohttp import web
from comfy_execution.progress import ProgressRegistry

import nodes
from server import PromptServer


@PromptServer.instance.routes.get("/probe/loaded")
async def loaded(_request):
    models = comfy.model_management.loaded_models()
    return web.json_response([type(model.model).__name__ for model in models])


@PromptServer.instance.routes.get("/probe/alive")
async def alive(_request):
    """How many models of the pack under test are anywhere in memory."""
    gc.collect()
    return web.json_response(sum(type(each).__name__ == "UnrenderModel" for each in gc.get_objects()))


class Stopwatch(ProgressRegistry):
    """What ComfyUI itself is told of each node's begin, progress and end."""

    started: ClassVar[dict[str, float]] = {}
    seconds: ClassVar[dict[str, float]] = {}
    progress: ClassVar[dict[str, list[tuple[float, float]]]] = {}

    def start_progress(self, node_id):
        self.started[node_id] = time.perf_counter()
        self.progress[node_id] = []
        super().start_progress(node_id)

    def update_progress(self, node_id, value, max_value, *image):
        self.progress.setdefault(node_id, []).append((value, max_value))
        super().update_progress(node_id, value, max_value, *image)

    def finish_progress(self, node_id):
        if node_id in self.started:
            self.seconds[node_id] = time.perf_counter() - self.started.pop(node_id)
        super().finish_progress(node_id)


comfy_execution.progress.ProgressRegistry = Stopwatch


@PromptServer.instance.routes.get("/probe/seconds")
async def seconds(_request):
    return web.json_response(Stopwatch.seconds)


@PromptServer.instance.routes.get("/probe/progress")
async def progress(_request):
    """Of each node's last run, what was done and of how much."""
    return web.json_response(Stopwatch.progress)


@PromptServer.instance.routes.post("/probe/learn_from/{texts}")
async def learn_from(request):
    """How many texts the projections learn from where nothing else is said, since thousands take minutes."""
    ridge = next(module for name, module in list(sys.modules.items()) if name.endswith(".core.embed.ridge"))
    ridge.RidgeFit.__init__.__defaults__ = (int(request.match_info["texts"]), *ridge.RidgeFit.__init__.__defaults__[1:])
    return web.json_response({})


@PromptServer.instance.routes.post("/probe/few_words")
async def few_words(_request):
    """How many families and composed texts a soft prompt asks of, which a whole text encoder takes minutes for."""
    core = next(name for name in list(sys.modules) if name.endswith(".core.engine")).removesuffix(".engine")
    reading = importlib.import_module(f"{core}.phrases.families.reading")
    folder = Path(tempfile.mkdtemp())
    for name in ("colours", "weather"):
        shutil.copy(Path(reading.__file__).parent / "built_in" / f"{name}.txt", folder)
    reading.BUILT_IN_FAMILIES = folder
    for name in ("evidence.of_engine", "embed.soft.knowledge"):
        importlib.import_module(f"{core}.{name}").TEXTS = 16
    return web.json_response({})


@PromptServer.instance.routes.post("/probe/use")
async def use(request):
    """Has ComfyUI load a folder of custom_nodes anew, over whatever has nodes of the same names."""
    folder = Path(folder_paths.get_folder_paths("custom_nodes")[0]) / (await request.json())
    return web.json_response(await nodes.load_custom_node(str(folder)))
