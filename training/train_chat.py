"""Trains the micro chat model from micro's CLIP: `python -m training.train_chat`; it measures on validation pictures.

The first layers of the CLIP's vision tower stay as they are, so what they see of each picture is computed once. Its
last layers, the projector and the language model learn to answer. Of each picture several questions are asked; what
comes before a question, the picture above all, is computed once for all of them. Only the answers' tokens count.
Beside them two linear layers, thrown away afterwards, name every factor: one from what the projector makes of a
picture, one where an answer is about to begin, so that the language model looks for all of them from the start.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import CLIPModel, DynamicCache, LlavaForConditionalGeneration, PreTrainedTokenizerFast
from unrender.core.micro import CHAT_FOLDER, CLIP_FOLDER
from unrender.core.micro.pictures import Pictures, normalise, render
from unrender.core.micro.world import FACTORS

from .chat_folder import (
    WIDTH,
    answer_after_question,
    beginning,
    new_chat,
    question_after_picture,
    save_chat_weights,
    write_chat_files,
)
from .chat_questions import SYSTEMS, random_turn
from .evaluate_chat import measure_chat, note
from .train import by_decay, shifted, training_device, warm_cosine

BATCH, TURNS = 64, 3  # pictures, questions a picture
LENGTHS = 4  # groups of like length, so that little is padding
CHUNK = 256
AVERAGE_DECAY = 0.97
LOG_EVERY, SAVE_EVERY = 25, 100  # steps
_SIZES = [len(values) for values in FACTORS.values()]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    seed: int = 1
    pictures: int = 16_000
    steps: int = 700
    rate: float = 3e-3
    eye_rate: float = 3e-4
    eye_layers: int = 2
    threads: int = 2
    device: str = "auto"


class Naming(nn.Module):
    """The layers that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Linear(2 * WIDTH, sum(_SIZES))
        self.answer = nn.Linear(WIDTH, sum(_SIZES))


class Group(NamedTuple):
    """Questions with their answers, padded at the end: token ids (n, length), which of them are to be learned, and of
    which of the batch's pictures each is (n)."""

    ids: torch.Tensor
    learned: torch.Tensor
    picture: torch.Tensor


Part = tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[Group]]
"""Of a batch, for `losses`: states, labels, tokens before the picture, questions."""


class Seen(NamedTuple):
    """What the first layers see of each picture, (n, 1 + patches, width) in half precision, and the pictures."""

    states: torch.Tensor
    pictures: Pictures


@torch.inference_mode()
def seen_by_first_layers(model: LlavaForConditionalGeneration, pictures: Pictures, layers: int, seed: int) -> Seen:
    tower = model.model.vision_tower
    rng, parts = random.Random(seed), []
    for at in range(0, len(pictures.scenes), CHUNK):
        pixels, _ = shifted(pictures.pixels[at : at + CHUNK], pictures.masks[at : at + CHUNK], rng)
        with torch.autocast(model.device.type, torch.bfloat16):
            states = tower.pre_layrnorm(tower.embeddings(normalise(pixels.to(model.device))))
            for layer in tower.encoder.layers[: len(tower.encoder.layers) - layers]:
                states = layer(states, attention_mask=None)
        parts.append(states.half().cpu())
    return Seen(torch.cat(parts), pictures)


def losses(
    model: LlavaForConditionalGeneration, naming: Naming, states: torch.Tensor, labels: torch.Tensor,
    before: torch.Tensor, groups: list[Group], layers: int,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """states: of the pictures after the first layers. before: token ids before the picture, the same for all."""
    llava = model.model
    tower, writer = llava.vision_tower, llava.language_model
    with torch.autocast(states.device.type, torch.bfloat16):
        for layer in tower.encoder.layers[len(tower.encoder.layers) - layers :]:
            states = layer(states, attention_mask=None)
        picture = llava.multi_modal_projector(states)
        start = writer.embed_tokens(before).expand(len(picture), -1, -1)
        shared = writer(inputs_embeds=torch.cat([start, picture], 1), use_cache=True).cache
        wrong, count, begun = states.new_zeros(()), 0, []
        for group in groups:
            own = DynamicCache()
            for number, layer in enumerate(shared.layers):
                own.update(layer.keys[group.picture], layer.values[group.picture], number)
            written = writer(inputs_embeds=writer.embed_tokens(group.ids), cache=own).last_hidden_state
            asked = group.learned[:, 1:]
            logits = model.lm_head(written[:, :-1][asked]).float()
            wrong = wrong + F.cross_entropy(logits, group.ids[:, 1:][asked], reduction="sum")
            count += int(asked.sum())
            last_asked = group.learned.int().argmax(1) - 1
            named = naming.answer(written[torch.arange(len(written), device=written.device), last_asked])
            begun.append(_misnamed(named, labels[group.picture]))
        named = naming.picture(torch.cat([picture[:, 0], picture[:, 1:].mean(1)], -1))
    naming_loss = _misnamed(named, labels) / 4
    return {"words": wrong / count, "naming": naming_loss, "begun": torch.stack(begun).mean() / 4}


def _misnamed(named: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean over the factors of the cross entropy of logits (n, values of all factors)."""
    by_factor = zip(named.float().split(_SIZES, -1), labels.T, strict=True)
    return torch.stack([F.cross_entropy(logits, label) for logits, label in by_factor]).mean()


def groups_of(
    scenes: list[Any], tokenizer: PreTrainedTokenizerFast, rng: random.Random, device: torch.device
) -> list[Group]:
    """Random questions on each scene."""
    lines: list[tuple[list[int], int, int]] = []
    for number, scene in enumerate(scenes):
        for _ in range(TURNS):
            turn = random_turn(scene, rng)
            asked, answered = (
                tokenizer(text, add_special_tokens=False)["input_ids"]
                for text in (question_after_picture(turn.question), answer_after_question(turn.answer))
            )
            lines.append((asked + answered, len(asked), number))
    lines.sort(key=lambda line: len(line[0]))
    size = -(-len(lines) // LENGTHS)
    return [_padded(lines[at : at + size], device) for at in range(0, len(lines), size)]


def _padded(lines: list[tuple[list[int], int, int]], device: torch.device) -> Group:
    longest = max(len(ids) for ids, _, _ in lines)
    ids = torch.zeros(len(lines), longest, dtype=torch.long)
    learned = torch.zeros(len(lines), longest, dtype=torch.bool)
    for row, (line, asked, _) in enumerate(lines):
        ids[row, : len(line)] = torch.tensor(line)
        learned[row, asked : len(line)] = True
    picture = torch.tensor([number for _, _, number in lines])
    return Group(ids.to(device), learned.to(device), picture.to(device))


def _rows(count: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    while True:
        yield from torch.randperm(count, generator=generator).split(BATCH)


def learn(
    model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, seen: Seen, folder: Path,
    settings: Training,
) -> None:  # fmt: skip
    """Runs the steps and saves the running average of the weights."""
    naming = Naming().to(model.device)
    eyes = (
        list(model.model.vision_tower.encoder.layers[-settings.eye_layers :].parameters())
        if settings.eye_layers
        else []
    )
    writer = [
        *model.model.multi_modal_projector.parameters(),
        *model.model.language_model.parameters(),
        *model.lm_head.parameters(),
        *naming.parameters(),
    ]
    rates = [({"lr": settings.rate}, writer), ({"lr": settings.eye_rate}, eyes)]
    optimizer = torch.optim.AdamW(
        [{**part, **rate} for rate, some in rates if some for part in by_decay(some)], betas=(0.9, 0.98), fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, settings.steps))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY))
    learning = [parameter for part in optimizer.param_groups for parameter in part["params"]]

    def gradients_of(part: Part) -> tuple[dict[str, torch.Tensor], tuple[torch.Tensor, ...]]:
        found = losses(model, naming, *part, settings.eye_layers)
        return found, torch.autograd.grad(torch.stack(list(found.values())).sum(), learning)

    pool = ThreadPoolExecutor(settings.threads)  # each with a part of the batch: threads within one wait for each other
    rng, started = random.Random(settings.seed), time.monotonic()
    rows = _rows(len(seen.states), torch.Generator().manual_seed(settings.seed))
    for step in range(1, settings.steps + 1):
        system = rng.choice(SYSTEMS) if rng.random() < 0.4 else ""
        before = torch.tensor(tokenizer(beginning(system), add_special_tokens=False)["input_ids"], device=model.device)
        parts = []
        for chosen in next(rows).chunk(settings.threads):
            groups = groups_of([seen.pictures.scenes[i] for i in chosen.tolist()], tokenizer, rng, model.device)
            states = seen.states[chosen].to(model.device).float()
            parts.append((states, seen.pictures.labels[chosen].to(model.device), before, groups))
        found, gradients = zip(*pool.map(gradients_of, parts), strict=True)
        for parameter, *several in zip(learning, *gradients, strict=True):
            parameter.grad = torch.stack(several).mean(0)
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % LOG_EVERY == 0:
            values = " ".join(f"{name} {value.item():.3f}" for name, value in found[0].items())
            log.info("step %d of %d, %.0f s: %s", step, settings.steps, time.monotonic() - started, values)
        if step % SAVE_EVERY == 0 or step == settings.steps:
            save_chat_weights(average.module, folder)


def train_chat(settings: Training, out: Path, start: Path | None = None) -> dict[str, Any]:
    """Writes the folder and returns the measures on validation pictures. start: a folder of an earlier run to go on
    from."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)
    began = time.monotonic()
    write_chat_files(out)
    model, tokenizer = new_chat(out, training_device(settings.device))
    eyes = CLIPModel.from_pretrained(CLIP_FOLDER).vision_model.state_dict()
    model.model.vision_tower.load_state_dict(eyes)
    pictures = render("train", settings.pictures)
    seen = seen_by_first_layers(model, pictures, settings.eye_layers, settings.seed)
    if start is not None:
        model.load_state_dict(LlavaForConditionalGeneration.from_pretrained(start).state_dict())
    seen = seen._replace(pictures=pictures._replace(pixels=torch.empty(0), masks=torch.empty(0)))
    log.info("drew and saw %d pictures in %.0f s", len(seen.states), time.monotonic() - began)
    learn(model.train(), tokenizer, seen, out, settings)
    minutes = round((time.monotonic() - began) / 60, 1)
    return {
        "settings": asdict(settings),
        "minutes": minutes,
        "validation": measure_chat(out, render("validation", 100)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the micro chat model.")
    parser.add_argument("--out", type=Path, default=CHAT_FOLDER, help="the model's folder")
    parser.add_argument("--start", type=Path, help="folder of an earlier run to go on from")
    for setting in fields(Training):
        option = "--" + setting.name.replace("_", "-")
        parser.add_argument(option, type=type(setting.default), default=setting.default)
    given = vars(parser.parse_args())
    out, start = given.pop("out"), given.pop("start")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    measures = train_chat(Training(**given), out, start)
    log.info("%s", json.dumps(measures, indent=1))
    if out == CHAT_FOLDER:
        note(measures)


if __name__ == "__main__":
    main()
