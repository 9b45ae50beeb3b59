//! The facade library and the command line of Tomograph.
