"""What a sandbox is to have, compared with what it has, and made so: schemas, data sets, connections, dataflows.

``model`` is the file that declares it, ``checks`` are Adobe's rules that need no call, ``found`` reads what is there,
``plan`` decides on ``steps``, ``apply`` carries out, ``routes`` tells a pipeline where to send.
"""
