"""Packages that import on use: what they offer is what their modules hold, and no more."""

import importlib

import pytest

DOORS = ("data", "experiments", "graphs", "losses", "mixing")


@pytest.mark.parametrize("door", DOORS)
def test_every_name_that_a_door_offers_is_there(door):
    package = importlib.import_module(f"mmix_jax.{door}")
    for name in package.__all__:
        # A module of the same name would take its place as soon as it is imported.
        assert type(getattr(package, name)).__name__ != "module", name


def test_another_name_is_no_attribute():
    package = importlib.import_module("mmix_jax.mixing")
    with pytest.raises(AttributeError, match=r"has no attribute 'mix_all'"):
        package.mix_all  # noqa: B018
