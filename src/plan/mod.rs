//! Spec and platform → the graph of steps and the image config. No I/O, no randomness.
