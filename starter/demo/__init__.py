"""The demonstration: the life of one disclosure request, told on real servers with the real commands."""
