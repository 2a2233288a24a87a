//! Samples and a reference in, a verdict out. Pure.
