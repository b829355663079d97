"""From the keys of a route to the route that runs."""

from __future__ import annotations

from aep.mapping.transform import RecordTransform
from pipelines.options.formats import FORMATS
from pipelines.options.mapping_file import read_mapping
from pipelines.options.route_keys import RouteKeys
from pipelines.options.settings import Settings
from transforms.records.destination import Destination
from transforms.records.route import Route


def route_to(destination: Destination, keys: RouteKeys, settings: Settings) -> Route:
    """Make what all kinds of routes have in common: parser, conditions, mapping and transform.

    Raises:
        OptionsError: The file of a mapping or of an Avro schema.
    """
    return Route(
        keys.name,
        keys.topics or ("files",),
        destination,
        FORMATS[keys.format].parser(keys, settings.kafka),
        when=keys.when,
        drop=keys.drop,
        mapping=read_mapping(keys.map, keys.map_patch_dialect) if isinstance(keys.map, str) else keys.map,
        transform=RecordTransform(keys.transform) if keys.transform else None,
    )
