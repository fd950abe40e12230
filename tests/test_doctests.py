"""Every example in a docstring of genjax runs."""

import doctest
import importlib
import pkgutil

import pytest

import genjax

FOUND = sorted(m.name for m in pkgutil.walk_packages(genjax.__path__, "genjax."))
MODULES = ["genjax", *(m for m in FOUND if m != "genjax.__main__")]


class Finder(doctest.DocTestFinder):
    """Sees through the wrappers of the shape checker, which doctest takes for imports from elsewhere."""

    def _from_module(self, module, object):
        return getattr(object, "__module__", None) == module.__name__ or super()._from_module(module, object)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    report: list[str] = []
    for test in Finder(exclude_empty=True).find(module, name):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_examples_behind_the_shape_checker_are_found():
    module = importlib.import_module("genjax.rng")
    found = [t.name for t in Finder(exclude_empty=True).find(module, "genjax.rng") if t.examples]
    assert "genjax.rng.order" in found
    assert "genjax.rng.named" in found
