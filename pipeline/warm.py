"""Models that stay loaded between jobs: those used last, up to so many bytes."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

from pipeline.catalogue import ModelSource
from pipeline.models import LoadedModel, load
from pipeline.specs import digest

logger = logging.getLogger(__name__)

WARM_BYTES = 4 * 2**30


class WarmModels:
    """Loaded models by the content of their files, the least recently used given up first.

    Parameters
    ----------
    limit_bytes : of all weights together. The model at hand always stays, whatever its size.
    """

    def __init__(self, *, limit_bytes: int = WARM_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()

    def get(
        self, source: ModelSource, device: str, dtype: str, *, on_load: Callable[[], None]
    ) -> LoadedModel:
        """Return a model, loaded unless it is warm.

        Parameters
        ----------
        source, device, dtype : as for `pipeline.models.load`.
        on_load : told before a model is loaded.

        Raises
        ------
        ModelError
            as `load` does.
        """
        key = digest({"files": source.files, "device": device, "dtype": dtype})
        if key not in self._models:
            on_load()
            loaded = load(source, device=device, dtype=dtype, attention=None)
            self._make_room(model_bytes(loaded))
            self._models[key] = loaded
        self._models.move_to_end(key)
        return self._models[key]

    def _make_room(self, needed_bytes: int) -> None:
        while self._models and needed_bytes + self.used_bytes > self._limit_bytes:
            _, given_up = self._models.popitem(last=False)
            logger.info("gave up %s", given_up.source.name)

    @property
    def used_bytes(self) -> int:
        """Bytes of the weights of all warm models."""
        return sum(map(model_bytes, self._models.values()))


def model_bytes(loaded: LoadedModel) -> int:
    """Return the bytes of a model's weights."""
    return sum(p.numel() * p.element_size() for p in loaded.model.parameters())
