"""Ways from one page to another: by a thing's name, or by its id once it was deleted."""

from __future__ import annotations

from emulator.page.facts import DatasetEntry, Facts, SchemaEntry, Services
from emulator.page.markup import Html, address, code, link, shortened
from emulator.state.identities import Named


def dataset_address(dataset: DatasetEntry) -> str:
    """Return where a dataset is shown."""
    return address("datasets", dataset.id, org=dataset.org_id)


def schema_address(schema: SchemaEntry) -> str:
    """Return where a schema is shown."""
    return address("schemas", schema.id, inlet=schema.inlet_id)


def profile_address(identity: Named) -> str:
    """Return where the profile of an identity is shown."""
    return address("profiles", namespace=identity.namespace, id=identity.value)


def dataset_link(reader: Facts, org_id: str, dataset_id: str) -> Html:
    """Return a dataset by its name."""
    found = reader.dataset(org_id, dataset_id)
    return link(dataset_address(found), found.name) if found else code(dataset_id)


def inlet_link(services: Services, inlet_id: str) -> Html:
    """Return an inlet by its name."""
    found = services.inlets.get(inlet_id)
    return link(address("inlets", inlet_id), found.name) if found else code(f"{inlet_id[:12]}…, deleted")


def identity_link(identity: Named) -> Html:
    """Return an identity, with the way to its profile."""
    return link(profile_address(identity), f"{identity.namespace}: {shortened(identity.value)}")
