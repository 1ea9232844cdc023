"""LeNet and its descendants, described once: no user interface, usable from a notebook or a script."""
