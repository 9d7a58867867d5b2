"""What helps against an error, as values: each door says them in its own words, from one table (`Words`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from .installing import install_command
from .printable import visible

_PERIOD = re.compile(r"(?<![./\\])\.$")
"""Of a sentence; the dots of a path stay."""

Control = Literal[
    "clip",
    "captioner",
    "tagger",
    "rivals",
    "candidates",
    "quantization",
    "phrases",
    "search",
    "device",
    "precision",
    "memory",
    "fit",
    "limits",
    "exclude",
    "pinned",
    "bank",
    "trigger",
    "prefix",
    "suffix",
    "pool",
    "beam_width",
    "beam_shortlist",
    "beam_refresh",
    "min_phrases",
    "max_phrases",
    "token_limit",
    "peer_defects",
    "captioning",
    "cache",
    "instruction",
    "max_length",
    "beams",
    "style",
    "system",
    "writing_temperature",
    "top_p",
    "repetition",
    "general_threshold",
    "character_threshold",
    "most_tags",
    "tag_order",
    "longest_side",
    "timeout",
    "retries",
    "endpoint_key",
    "images",
    "mode",
    "caption",
    "weights",
    "categories",
    "top",
    "host",
    "family",
    "projection",
    "quality",
    "tokens",
    "mix",
    "strength",
    "correction",
    "temperature",
    "alpha",
    "anchor",
    "gap_pictures",
    "learning_texts",
    "learning_strength",
    "learning_rank",
    "cut",
    "norm",
    "checkpoint",
    "judge",
    "judge_by_rendering",
    "dino",
    "steps",
    "guidance",
    "seed",
    "denoise",
    "size",
    "output",
    "place",
    "existing",
    "columns",
    "shard",
    "jobs",
    "workers",
    "index",
]
"""What a person can set at some door, by the name it has in Python."""

CONTROLS: tuple[Control, ...] = get_args(Control)

Step = Literal["resume", "copy the model", "list models", "index the folder", "describe a folder", "use the CPU"]
"""What a person does at a door in one move."""

STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True)
class Give:
    """Setting a control to something else, such as "1 or more"."""

    control: Control
    what: str = "another"


@dataclass(frozen=True)
class Choose:
    """Setting a control to one of these values."""

    control: Control
    values: tuple[str, ...]


@dataclass(frozen=True)
class LeaveOut:
    """Setting a control to nothing."""

    control: Control


@dataclass(frozen=True)
class Install:
    """Installing packages, written as pip takes them. options: pip's, such as --upgrade."""

    packages: tuple[str, ...]
    options: str = ""


@dataclass(frozen=True)
class Take:
    """A step. first: what is to be done before it, the same at every door."""

    step: Step
    first: str = ""


Cure = Give | Choose | LeaveOut | Install | Take | str
"""A text is advice that is the same at every door: what to do with a file, a disk or a network."""


@dataclass(frozen=True)
class Words:
    """How one door says what helps.

    controls: what each is called there. steps: how each is done there, to fit after a semicolon.
    give, choose, leave_out, install: with {control}, {what}, {values} and {command}.
    elsewhere: what cannot be set at this door, but where its program is started; give_elsewhere: as `give`, for those.
    installer: makes the command. absent: what can be neither set nor done here, and is not advised.
    """

    controls: Mapping[Control, str]
    steps: Mapping[Step, str]
    give: str
    choose: str
    leave_out: str
    install: str
    elsewhere: tuple[Control, ...] = ()
    give_elsewhere: str = ""
    absent: frozenset[Control | Step] = frozenset()
    installer: Callable[[Sequence[str], str], str] = install_command

    def cure(self, cure: Cure) -> str:
        """ "" for what is absent here."""
        match cure:
            case Give(control, _) | Choose(control, _) | LeaveOut(control) if control in self.absent:
                return ""
            case Take(step, _) if step in self.absent:
                return ""
            case Give(control, what) if control in self.elsewhere:
                return self.give_elsewhere.format(control=self.controls[control], what=what)
            case Choose(control, values) if control in self.elsewhere:
                return self.give_elsewhere.format(control=self.controls[control], what=either(values))
            case LeaveOut(control) if control in self.elsewhere:
                return self.give_elsewhere.format(control=self.controls[control], what="nothing")
            case Give(control, what):
                return self.give.format(control=self.controls[control], what=what)
            case Choose(control, values):
                return self.choose.format(control=self.controls[control], values=either(values))
            case LeaveOut(control):
                return self.leave_out.format(control=self.controls[control])
            case Install(packages, options):
                return self.install.format(command=self.installer(packages, options))
            case Take(step, first):
                return " and ".join(filter(None, (first, self.steps[step])))
            case str():
                return cure

    def sentence(self, problem: str, cures: Sequence[Cure], control: Control | None = None) -> str:
        """One sentence. control: what the problem is said of, put before it and not named again."""
        subject = "" if control is None else f"{self.controls[control]} "
        advice = ", or ".join(filter(None, (_of_subject(cure, control) or self.cure(cure) for cure in cures)))
        return visible(f"{subject}{_PERIOD.sub('', problem)}{'; ' if advice else ''}{advice}.")


def _of_subject(cure: Cure, control: Control | None) -> str:
    """What is said of the control that the sentence begins with; "" of any other."""
    match cure:
        case Give(named, what) if named == control:
            return f"give {what}"
        case Choose(named, values) if named == control:
            return f"choose {either(values)}"
        case _:
            return ""


def either(names: Sequence[str]) -> str:
    """a, b or c."""
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


PYTHON = Words(
    controls={name: name for name in CONTROLS},
    steps={
        "resume": "resume it",
        "copy the model": "name a folder or file that holds a copy",
        "list models": "choose a model that `core.catalogue` lists",
        "index the folder": "index the folder first",
        "describe a folder": "describe all of it with a `Batch`",
        "use the CPU": "use the device cpu",
    },
    give="give {what} as {control}",
    choose="choose {values} as {control}",
    leave_out="leave out {control}",
    install="run `{command}`",
)
"""For who calls the engine; what `str` of an error says."""
