"""The routes: each names a handler that exists."""

from importlib import import_module

import pytest

from functions.routes import ROUTES, Route


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.event_name)
def test_the_handler_of_a_route_is_that_of_its_event(route: Route):
    module, attribute = route.handler.rsplit(".", 1)
    assert module.rpartition(".")[2] == route.event_name
    assert callable(getattr(import_module(module), attribute))
