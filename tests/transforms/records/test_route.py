from __future__ import annotations

from dataclasses import replace

import pytest

from aep.errors import ConfigurationError
from aep.mapping.conditions import compile_conditions
from tests.transforms.examples import route, routes
from transforms.parse_avro import ParseAvro


def test_a_name_takes_that_topic_and_a_regular_expression_all_that_begin_so() -> None:
    assert route("r", "orders").takes("orders")
    assert not route("r", "orders").takes("orders-eu")
    assert not route("r", "order.").takes("orders")
    assert route("r", "^orders-(eu|us)$").takes("orders-eu")
    assert not route("r", "^orders-(eu|us)$").takes("orders-europe")
    assert not route("r", "^orders").takes("my-orders")


def test_the_first_route_that_takes_a_topic_has_it() -> None:
    both = routes(route("narrow", "orders-eu"), route("wide", "^orders"))
    assert [one.name for one in both.of_topic("orders-eu")] == ["narrow"]
    assert [one.name for one in both.of_topic("orders-us")] == ["wide"]
    assert [one.name for one in both.of_topic("orders-us")] == ["wide"]  # remembered


def test_a_topic_without_a_route_is_an_error_that_names_it() -> None:
    with pytest.raises(LookupError, match="no route takes the topic payments"):
        routes(route("r", "orders")).of_topic("payments")


def test_routes_are_found_by_name_and_list_their_topics_once() -> None:
    both = routes(route("a", "x", "y"), route("b", "y", "^z"))
    assert both["b"].topics == ("y", "^z")
    assert both.topics == ["x", "y", "^z"]
    assert [one.name for one in both] == ["a", "b"]


def test_routes_with_conditions_share_a_topic_up_to_the_one_that_takes_the_rest() -> None:
    when = compile_conditions({"/type": "a"})
    shared = routes(
        replace(route("a", "orders"), when=when),
        replace(route("b", "^ord"), when=when),
        route("rest", "orders"),
        route("never", "orders"),
    )
    assert [one.name for one in shared.of_topic("orders")] == ["a", "b", "rest"]
    assert [one.name for one in shared.of_topic("ordinary")] == ["b"]


def test_routes_that_share_a_topic_read_it_in_one_format() -> None:
    when = compile_conditions({"/type": "a"})
    shared = routes(
        replace(route("a", "^orders"), when=when), replace(route("b", "^orders-eu"), parse=ParseAvro('"string"'))
    )
    assert [one.name for one in shared.of_topic("orders-us")] == ["a"]
    with pytest.raises(ConfigurationError, match="a and b read the topic orders-eu in different formats"):
        shared.of_topic("orders-eu")
