"""The commands that have more than a few lines, a file for each noun. `webapp/cli.py` gathers them."""
