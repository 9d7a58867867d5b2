from types import SimpleNamespace
from typing import Any


class State:
    def __init__(self) -> None:
        self.interrupted = self.skipped = False
        self.job = ""
        self.jobs: list[str] = []
        self.textinfo: str | None = None

    def begin(self, job: str) -> None:
        self.interrupted = self.skipped = False
        self.job = job
        self.jobs.append(job)

    def end(self) -> None:
        self.job = ""
        self.jobs.append("end")


class OptionInfo:
    section: tuple[str, str] = ("", "")

    def __init__(self, default: Any, label: str, component: Any, component_args: Any) -> None:
        self.default, self.label, self.component, self.component_args = default, label, component, component_args


class Options(SimpleNamespace):
    def add_option(self, name: str, info: OptionInfo) -> None:
        self.__dict__.setdefault(name, info.default)


state = State()
prompt_styles: Any = None
opts = Options()
cmd_opts = SimpleNamespace(api_auth=None)
