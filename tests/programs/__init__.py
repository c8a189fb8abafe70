"""Random small NumPy programs: forward = reverse = differences."""
