"""What `make bench` measures: each row is a ratio of two things measured side by side in one run, with its mark."""
