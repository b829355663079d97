"""Several processes of one run, started and watched by a parent process."""
