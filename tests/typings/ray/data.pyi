from collections.abc import Iterator, Sequence
from typing import Any

class ActorPoolStrategy:
    def __init__(self, *, min_size: int) -> None: ...

class DataContext:
    enable_progress_bars: bool
    @staticmethod
    def get_current() -> DataContext: ...

class Dataset:
    def map(
        self,
        fn: type,
        *,
        fn_constructor_args: Sequence[Any],
        compute: ActorPoolStrategy,
        num_gpus: float,
        memory: float,
    ) -> Dataset: ...
    def iter_rows(self) -> Iterator[dict[str, Any]]: ...

def from_items(items: list[Any], *, override_num_blocks: int) -> Dataset: ...
