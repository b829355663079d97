"""What the launcher of the Flex Template runs: it takes a file, not a module."""

import sys

from pipelines.kafka_to_aep import main

if __name__ == "__main__":
    sys.exit(main())
