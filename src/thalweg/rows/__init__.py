"""The rows of the lecture's table, each trained on real data: `thalweg train`."""
