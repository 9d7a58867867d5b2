"""A chat model's own template for its questions: a small program, so it is run where it cannot do harm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...cures import Give, Install
from ...errors import MissingPackageError, ModelError
from ...foreign import Unreadable, first_line, parsed_json, shown

_SECONDS = 10
"""Of waiting; the process limits its own computing time to less where a system can."""
_LONGEST = 200_000
_WITHOUT_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)

Message = Mapping[str, Any]


def template_of(processor: Any) -> object:
    """The processor's, else its tokenizer's; None without one."""
    template = getattr(processor, "chat_template", None) or getattr(processor.tokenizer, "chat_template", None)
    return template.get("default") if isinstance(template, Mapping) else template


def rendered(name: str, processor: Any, conversations: Sequence[Sequence[Message]]) -> list[str | None]:
    """What the template makes of each conversation, which is to be answered; None of those it refuses. Raises
    ModelError where it refuses all, MissingPackageError.

    It may loop without end or write without end, in any of a hundred ways; so it runs in a process with limits."""
    template = template_of(processor)
    if not isinstance(template, str) or len(template) > _LONGEST:
        raise _refused(name, "it is none")
    try:
        import jinja2
        import markupsafe
    except ImportError as error:
        raise MissingPackageError(f"{name} needs jinja2", Install(("jinja2",)), Give("captioner")) from error
    special = {key: value for key, value in processor.tokenizer.special_tokens_map.items() if isinstance(value, str)}
    shared = {"tools": None, "documents": None, "add_generation_prompt": True, "enable_thinking": False, **special}
    values = [{**shared, "messages": list(each)} for each in conversations]
    places = [str(Path(str(module.__file__)).parent.parent) for module in (jinja2, markupsafe)]
    return _answers(name, json.dumps({"template": template, "values": values, "places": places}))


def _answers(name: str, question: str) -> list[str | None]:
    command = [sys.executable, "-I", str(Path(__file__).with_name("rendering.py"))]
    try:
        done = subprocess.run(
            command,
            input=question.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            creationflags=_WITHOUT_WINDOW,
        )
        answers = (
            parsed_json(done.stdout) if done.returncode == 0 else [{"error": "it takes too long or too much memory"}]
        )
    except subprocess.TimeoutExpired as error:
        raise _refused(name, "it takes too long") from error
    except (OSError, Unreadable, ValueError) as error:
        raise _refused(name, first_line(error)) from error
    told = [each for each in answers if isinstance(each, dict)] if isinstance(answers, list) else []
    texts = [each["text"] if isinstance(each.get("text"), str) else None for each in told]
    if not any(texts):
        raise _refused(name, shown(str(told[0].get("error", "it writes nothing") if told else ""), 200))
    return texts


def _refused(name: str, reason: str) -> ModelError:
    return ModelError(f"The chat template of {name} cannot be rendered ({reason})", Give("captioner"))
