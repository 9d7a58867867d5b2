"""`unrender ui` before there is a page."""

from __future__ import annotations

import sys

import pytest
from unrender.cli import main
from unrender.core.installing import install_command


@pytest.fixture(autouse=True)
def _no_token_of_this_machine(monkeypatch):
    monkeypatch.delenv("UNRENDER_TOKEN", raising=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "anyone could use this machine"),
        (["--port", "0"], "--port is 0"),
        (["--port", "70000"], "--port is 70000"),
    ],
)
def test_what_cannot_be_served_is_refused(capsys, options, said):
    assert main(["ui", *options]) == 2
    assert said in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in [name for name in sys.modules if name.startswith(("unrender.server.pages", "unrender.server.gr"))]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["ui", "--clip", "micro"]) == 1
    assert f"The page needs gradio; run `{install_command(('gradio', 'matplotlib'))}`." in capsys.readouterr().err
