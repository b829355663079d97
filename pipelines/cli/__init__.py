"""The command `beam-aep`: a file for a small command, a folder for a large one."""
