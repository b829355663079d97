"""What all tests need."""

import signal

# A shell that runs a command in the background has it ignore SIGINT, and with it all that it starts; tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
