"""What a webui loads. Other extensions own such names as `core` and `extension`: this one is imported under its own."""

import importlib.util
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_NAME = f"unrender_extension_{abs(hash(str(_ROOT))):x}"

for _loaded in [name for name in sys.modules if name == _NAME or name.startswith(f"{_NAME}.")]:
    del sys.modules[_loaded]  # Reload UI runs this again, perhaps after an update
_spec = importlib.util.spec_from_file_location(_NAME, _ROOT / "__init__.py", submodule_search_locations=[str(_ROOT)])
assert _spec and _spec.loader
_package = importlib.util.module_from_spec(_spec)
sys.modules[_NAME] = _package
_spec.loader.exec_module(_package)
# a webui takes the scripts that it finds among the names of this module
ImageAsPrompt, InterrogateEach = importlib.import_module(f"{_NAME}.extension.webui").register()
