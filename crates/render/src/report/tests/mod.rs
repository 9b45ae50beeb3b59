//! The report against the numbers: every printed sentence is read back and checked by code that shares nothing with the
//! code that wrote it.

mod between;
mod change;
mod check;
mod hostile;
mod naive;
mod planted;
mod samples;
mod snapshots;
