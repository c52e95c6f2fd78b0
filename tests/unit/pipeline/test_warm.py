"""Which models stay loaded, and that those given up are really gone."""

import gc
import weakref

import pytest

from pipeline.warm import WarmModels, model_bytes
from tests.unit.pipeline.tiny_models import source_of


@pytest.fixture
def get(hub_cache):
    """Get models by name; `loads` lists which had to be loaded."""

    class Getter:
        def __init__(self):
            self.loads = []
            self.warm = WarmModels(limit_bytes=10**9)

        def __call__(self, name):
            source = source_of(name, hub_cache)
            return self.warm.get(
                source, "cpu", "float32", on_load=lambda: self.loads.append(name)
            )  # fmt: skip

    return Getter()


def test_a_warm_model_is_not_loaded_again(get):
    assert get("tiny/bert") is get("tiny/bert")
    get("tiny/gpt2")
    get("tiny/bert")
    assert get.loads == ["tiny/bert", "tiny/gpt2"]


def test_the_model_used_longest_ago_is_given_up(get):
    sizes = {name: model_bytes(get(name)) for name in ("tiny/bert", "tiny/gpt2", "tiny/vit")}
    get.warm = WarmModels(limit_bytes=sizes["tiny/bert"] + max(sizes.values()))
    get.loads.clear()
    gone = weakref.ref(get("tiny/gpt2").model)
    get("tiny/bert")
    get("tiny/vit")
    gc.collect()
    assert gone() is None
    get("tiny/bert")
    assert get.loads == ["tiny/gpt2", "tiny/bert", "tiny/vit"]


def test_the_model_at_hand_stays_whatever_its_size(get):
    get.warm = WarmModels(limit_bytes=1)
    assert get("tiny/bert") is get("tiny/bert")
    get("tiny/vit")
    assert get.warm.used_bytes == model_bytes(get("tiny/vit"))
