"""Problems of the optimisation and PDE literature that tests solve."""
