//! Integration tests of the formats.
