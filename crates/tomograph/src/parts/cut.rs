//! Which part of a scan is made.

use std::fmt;
use std::str::FromStr;

use tomo_map::Selection;

/// Which part of a scan is made, in the user's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cut {
    /// These cells, for every metric.
    Cells(Selection),
    /// One of several parts of like size, along whatever each metric can be cut.
    Shard(Shard),
}

/// One of several parts: `3/16` is the third of sixteen.
///
/// ```
/// use tomograph::parts::Shard;
///
/// let shard: Shard = "3/16".parse()?;
/// assert_eq!((shard.number(), shard.of()), (3, 16));
/// assert!("0/16".parse::<Shard>().is_err() && "17/16".parse::<Shard>().is_err());
/// # Ok::<(), tomograph::parts::WrongShard>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    number: u32,
    of: u32,
}

/// What is no part of several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongShard;

impl fmt::Display for WrongShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected one of several parts, counted from 1: 3/16")
    }
}

impl std::error::Error for WrongShard {}

/// More parts than any cluster has workers.
const MOST: u32 = 1 << 20;

impl Shard {
    /// The `number`-th of `of`, counted from 1.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        ((1..=MOST).contains(&of) && (1..=of).contains(&number)).then_some(Self { number, of })
    }

    /// Which one, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// Of how many.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Which of so many items in a row are its own: neighbours, as many as the other parts have or one more.
    pub(super) fn neighbours(self, count: usize) -> std::ops::Range<usize> {
        let at = |number: u32| (count as u128 * u128::from(number) / u128::from(self.of)) as usize;
        at(self.number - 1)..at(self.number)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = WrongShard;

    fn from_str(text: &str) -> Result<Self, WrongShard> {
        let (number, of) = text.split_once('/').ok_or(WrongShard)?;
        let parse = |digits: &str| digits.trim().parse::<u32>().map_err(|_| WrongShard);
        Self::new(parse(number)?, parse(of)?).ok_or(WrongShard)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cells(selection) => selection.fmt(f),
            Self::Shard(shard) => shard.fmt(f),
        }
    }
}
