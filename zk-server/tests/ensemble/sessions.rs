//! What clients see of it.
