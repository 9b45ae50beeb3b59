//! Parts of a scan: made apart, by whomever and wherever, and put together to the map that one scan would have made.
//!
//! A part is one file. It says which scan it is of, what its share was and what it knows: scores where a cell is known whole, sums
//! by sequence where they are summed over sequences later. Everything a score is made of is put together before the score is made, so
//! that the numbers are those of one scan.

mod cut;
mod file;
mod making;
mod merge;
mod shares;
mod skeleton;

pub use cut::{Cut, Shard, WrongShard};
pub use file::{PART_FILE, Part};
pub use merge::{Merged, merge};
pub use shares::Shares;

pub(crate) use file::States;
pub(crate) use making::{Making, OfText};
pub(crate) use shares::ELSEWHERE;
