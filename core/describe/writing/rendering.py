"""Renders a chat template in a process of its own that has nothing to lose, started by `templates` by its path.

What comes in at standard input and goes out is JSON. Nothing of the program is imported.
"""

from __future__ import annotations

import json
import sys
from typing import Any, ClassVar

_SECONDS, _BYTES, _LONGEST = 2, 512 * 2**20, 100_000


def _limit() -> None:
    try:
        import resource
    except ImportError:  # on Windows, where the time alone is limited
        return
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))


def _render(template: str, values: dict[str, Any]) -> str:
    """As transformers does, in the same sandbox of Jinja's and with what it adds to the language."""
    import datetime

    from jinja2 import TemplateError, ext, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(ext.Extension):
        tags: ClassVar[set[str]] = {"generation"}  # pyright: ignore[reportIncompatibleVariableOverride]

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def as_json(value: Any, **options: Any) -> str:
        return json.dumps(value, **{"ensure_ascii": False, **options})

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, ext.loopcontrols]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    # of one day, since the same picture is to get the same words tomorrow
    environment.globals["strftime_now"] = lambda form: datetime.datetime(2026, 1, 1).strftime(form)
    parts: list[str] = []
    length = 0
    for part in environment.from_string(template).generate(**values):
        parts.append(part)
        length += len(part)
        if length > _LONGEST:
            raise ValueError("it writes without end")
    return "".join(parts)


def _answer(template: str, values: dict[str, Any]) -> dict[str, str]:
    try:
        return {"text": _render(template, values)}
    except MemoryError:
        return {"error": "it takes too much memory"}
    except Exception as error:  # noqa: BLE001 - whatever a template raises
        return {"error": str(error)[:500] or type(error).__name__}


def _main() -> None:
    asked = json.load(sys.stdin)
    sys.path[:0] = asked["places"]
    _limit()
    json.dump([_answer(asked["template"], values) for values in asked["values"]], sys.stdout)


if __name__ == "__main__":
    _main()
