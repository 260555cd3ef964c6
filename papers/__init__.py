"""The published results that mxref reproduces: ``python -m papers``."""
