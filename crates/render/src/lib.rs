//! Pictures and reports of a map. A scene decides layout once; one file per output only serialises it.
//!
//! It knows maps only, and cannot see tensors.

pub mod report;
