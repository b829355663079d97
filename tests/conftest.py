"""What all tests need."""

import signal

# Tests signal what they start, which would ignore what this process was started to ignore: SIGINT, by a shell that
# runs it in the background, and SIGHUP, by nohup. What it handles instead, they begin with as usual.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)
