"""What a sandbox is to have, compared with what it has, and made so: schemas, datasets, connections, dataflows.

`model` is the file that declares it, `checks` are Adobe's rules that need no call, `inventory` reads what exists,
`plan` decides on `steps`, `apply` carries them out, `routes` writes the routes that lead there.
"""
