//! Layers, losses, optimizers and data for convolutional networks, generic over the backend.
