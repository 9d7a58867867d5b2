"""A chat model's own template for its questions: a small program, so it is run where it cannot do harm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cures import Give, Install
from ..errors import MissingPackageError, ModelError
from ..foreign import Unreadable, first_line, parsed_json, shown

_SECONDS = 10
"""Of waiting; the process limits its own computing time to less where a system can."""
_LONGEST = 200_000
_WITHOUT_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)


def rendered(name: str, processor: Any, message: Mapping[str, Any]) -> str:
    """What the processor's template makes of a message that is to be answered. Raises ModelError, MissingPackageError.

    It may loop without end or write without end, in any of a hundred ways; so it runs in a process with limits."""
    template = processor.chat_template
    if isinstance(template, Mapping):
        template = template.get("default")
    if not isinstance(template, str) or len(template) > _LONGEST:
        raise _refused(name, "it is none")
    try:
        import jinja2
        import markupsafe
    except ImportError as error:
        raise MissingPackageError(f"{name} needs jinja2", Install(("jinja2",)), Give("captioner")) from error
    special = {key: value for key, value in processor.tokenizer.special_tokens_map.items() if isinstance(value, str)}
    values = {"messages": [message], "tools": None, "documents": None, "add_generation_prompt": True, **special}
    places = [str(Path(str(module.__file__)).parent.parent) for module in (jinja2, markupsafe)]
    return _answer(name, json.dumps({"template": template, "values": values, "places": places}))


def _answer(name: str, question: str) -> str:
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
        answer = parsed_json(done.stdout) if done.returncode == 0 else {"error": "it takes too long or too much memory"}
    except subprocess.TimeoutExpired as error:
        raise _refused(name, "it takes too long") from error
    except (OSError, Unreadable, ValueError) as error:
        raise _refused(name, first_line(error)) from error
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        told = answer.get("error", "") if isinstance(answer, dict) else ""
        raise _refused(name, shown(str(told), 200))
    return answer["text"]


def _refused(name: str, reason: str) -> ModelError:
    return ModelError(f"The chat template of {name} cannot be rendered ({reason})", Give("captioner"))
