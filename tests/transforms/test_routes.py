from __future__ import annotations

import pytest

from tests.transforms.records import route, routes


def test_a_name_takes_that_topic_and_a_regular_expression_all_that_begin_so() -> None:
    assert route("r", "orders").takes("orders")
    assert not route("r", "orders").takes("orders-eu")
    assert not route("r", "order.").takes("orders")
    assert route("r", "^orders-(eu|us)$").takes("orders-eu")
    assert not route("r", "^orders-(eu|us)$").takes("orders-europe")
    assert not route("r", "^orders").takes("my-orders")


def test_the_first_route_that_takes_a_topic_has_it() -> None:
    both = routes(route("narrow", "orders-eu"), route("wide", "^orders"))
    assert both.for_topic("orders-eu").name == "narrow"
    assert both.for_topic("orders-us").name == "wide"
    assert both.for_topic("orders-us").name == "wide"  # remembered


def test_a_topic_without_a_route_is_an_error_that_names_it() -> None:
    with pytest.raises(LookupError, match="no route takes the topic payments"):
        routes(route("r", "orders")).for_topic("payments")


def test_routes_are_found_by_name_and_list_their_topics_once() -> None:
    both = routes(route("a", "x", "y"), route("b", "y", "^z"))
    assert both["b"].topics == ("y", "^z")
    assert both.topics == ["x", "y", "^z"]
    assert [one.name for one in both] == ["a", "b"]
