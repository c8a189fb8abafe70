"""A variational autoencoder on MNIST: its bound on the test set, its time beside torch's."""
