"""Sets Unrender up and runs it, with nothing but Python 3.10 or newer and pip on the machine.

    python3 run.py demo                     the demo, offline once installed
    python3 run.py test                     the tests
    python3 run.py interrogate photo.jpg    any command of `unrender`

The first run makes `.venv` beside this file and installs the project there; later runs start at once.
"""

import sys

if sys.version_info < (3, 10):  # before any newer syntax, so that an old Python can still say it
    sys.exit("run.py: Unrender needs Python 3.10 or newer, this is Python {}.{}.".format(*sys.version_info[:2]))

import hashlib
import json
import os
import platform
import shutil
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "unrender.json"
CPU_TORCH = "https://download.pytorch.org/whl/cpu"
VERSION = "{}.{}".format(*sys.version_info[:2])
EXTRAS = {
    "test": {"test"},
    "demo": {"render"},
    "vary": {"render"},
    "animate": {"render"},
    "optimise": {"render"},
    "verify": {"render"},
    "serve": {"serve"},
    "ui": {"ui"},
}
"""What a command needs."""
EXTRAS_OF_OPTIONS = {
    "--plot": "plot",
    "parquet": "parquet",
    "peer": "lists",
    "clip-gaze": "lists",
    "ray": "ray",
}
"""What an option needs, or the value of one."""
EXTRAS_OF_ENDINGS = {".parquet": "parquet", ".heic": "heif", ".heif": "heif"}
"""What a file needs, by the end of its name."""
DESCRIBERS = ("--captioner", "--rival", "--rivals", "--endpoint")
"""Options with a server's address or a model's name; a server needs the extra endpoint."""


def main(arguments: list[str]) -> int:
    testing = arguments[:1] == ["test"]
    try:
        install(extras_for(arguments))
    except OSError as error:
        sys.exit(f"run.py: {VENV} could not be made: {error}.")
    except KeyboardInterrupt:
        sys.exit("run.py: stopped; the next run goes on with the installation.")
    if testing:
        os.chdir(ROOT)
        return start("pytest", *arguments[1:])
    return start("unrender", *(arguments or ["--help"]))


def extras_for(arguments: list[str]) -> set[str]:
    extras = set(EXTRAS.get(arguments[0] if arguments else "", ()))
    if arguments[:1] == ["test"]:
        return extras
    before = ""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        named = value if equals and option in DESCRIBERS else argument if before in DESCRIBERS else ""
        before = argument
        if named.lower().startswith(("http://", "https://")):
            extras.add("endpoint")
            continue
        known = (EXTRAS_OF_OPTIONS.get(option), EXTRAS_OF_OPTIONS.get(value))
        ending = EXTRAS_OF_ENDINGS.get(os.path.splitext(argument)[1].lower())  # noqa: PTH122
        remote = "parquet" if "://" in argument and not argument.startswith("-") else None
        extras.update(extra for extra in (*known, ending, remote) if extra)
    return extras


def install(extras: set[str]) -> None:
    """Brings .venv up to what pyproject.toml asks for; nothing to do when the stamp says it is."""
    stamp = read_stamp()
    fingerprint = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()).hexdigest()
    if stamp.get("python") == VERSION and PYTHON.exists():
        if stamp.get("fingerprint") == fingerprint and extras <= set(stamp["extras"]):
            return
    else:
        make_venv(ours=bool(stamp))
        stamp = {}
    extras = extras | set(stamp.get("extras", []))
    say(f"installing into {VENV}, once; this takes a few minutes")
    pip("pip>=21.3")  # older ones install no pyproject in place; nothing happens where it is newer
    install_cpu_torch()
    if pip("--editable", f".[{','.join(sorted(extras))}]" if extras else ".") != 0:
        sys.exit(
            f"run.py: pip could not install Unrender (its message is above); if it found no torch, "
            f"try a Python that torch has packages for (this is {VERSION}), otherwise check the network."
        )
    STAMP.write_text(json.dumps({"python": VERSION, "fingerprint": fingerprint, "extras": sorted(extras)}))


def read_stamp() -> dict:
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}


def make_venv(ours: bool) -> None:
    if VENV.exists() and not ours and python_of_venv() != VERSION:
        sys.exit(f"run.py: {VENV} is not of Python {VERSION} and was not made here; move it away first.")
    options = ["--clear"] if ours else []
    if run(sys.executable, "-m", "venv", *options, VENV, quiet=True) != 0:
        # Debian and Ubuntu leave ensurepip out: the pip at hand then installs one into the environment.
        if run(sys.executable, "-m", "venv", "--without-pip", *options, VENV) != 0:
            sys.exit("run.py: this Python has no working venv module; install python3-venv or virtualenv.")
        script = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = subprocess.check_output([PYTHON, "-c", script], text=True).strip()
        if run(sys.executable, "-m", "pip", "install", "-q", "--target", packages, "pip") != 0:
            sys.exit("run.py: this Python has no working pip; install python3-pip.")
    STAMP.write_text(json.dumps({"python": VERSION, "extras": []}))


def python_of_venv() -> str:
    script = "import sys; print('{}.{}'.format(*sys.version_info[:2]))"
    try:
        return subprocess.check_output([PYTHON, "-c", script], text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def install_cpu_torch() -> None:
    """Where PyPI's torch would bring gigabytes of CUDA that no GPU uses, tries PyTorch's CPU packages."""
    linux = platform.system() == "Linux" and platform.machine() == "x86_64"
    if not linux or has_nvidia() or any(VENV.glob("lib/python*/site-packages/torch")) or not reachable(CPU_TORCH):
        return
    say("no NVIDIA GPU here: taking PyTorch's smaller CPU build")
    if pip("--index-url", CPU_TORCH, "torch>=2.1", "torchvision") != 0:
        say("that did not work, taking PyPI's build")


def has_nvidia() -> bool:
    driver = any(Path(path).exists() for path in ("/proc/driver/nvidia", "/dev/nvidia0", "/dev/dxg"))
    return driver or shutil.which("nvidia-smi") is not None


def reachable(url: str, seconds: float = 3.0) -> bool:
    answers: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url + "/torch/", timeout=seconds) as answer:
                answers.append(answer.status == 200)
        except (OSError, ValueError):
            answers.append(False)

    asking = threading.Thread(target=ask, daemon=True)  # a name look-up does not honour the timeout
    asking.start()
    asking.join(seconds)
    return answers == [True]


def pip(*arguments: str) -> int:
    return run(PYTHON, "-m", "pip", "install", "-qq", *arguments)


def run(*command: "str | Path", quiet: bool = False) -> int:
    """Runs a step of the installation, showing its seconds on a terminal. Standard output stays free."""
    # A configuration that sends every pip install to the user's folder cannot work inside an environment.
    env = {**os.environ, "PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    output = subprocess.DEVNULL if quiet else sys.stderr
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    started = time.monotonic()
    while True:
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            if sys.stderr.isatty():
                sys.stderr.write(f"{time.monotonic() - started:6.0f} s\r")


def start(module: str, *arguments: str) -> int:
    """Hands over to a module of the environment."""
    command = [str(PYTHON), "-m", module, *arguments]
    os.environ["UNRENDER_COMMAND"] = ("py" if os.name == "nt" else "python3") + " run.py"  # named in its help
    if os.name != "nt":
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the child got it too and is about to end


def say(text: str) -> None:
    sys.stderr.write(f"run.py: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
