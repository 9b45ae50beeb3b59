use tomo_map::{Grid, Status};
use tomo_model::{Change, Changes, Model, ModelError};

use super::{Cast, Pair, Pairs, StoredCell};

/// What an adapter changes, with its base or without.
pub struct AdapterPairs<'a> {
    changes: &'a Changes,
    base: Option<&'a Model>,
    cast: Option<Cast>,
}

impl<'a> AdapterPairs<'a> {
    /// The changes of an adapter; `base` is the model that they were [placed on](tomo_model::Adapter::against), if any.
    pub fn new(changes: &'a Changes, base: Option<&'a Model>) -> Self {
        Self { changes, base, cast: None }
    }

    /// The same, with W0 and what becomes of it rounded before they are compared: what merging would leave.
    #[must_use]
    pub fn rounded_to(self, cast: Option<Cast>) -> Self {
        Self { cast, ..self }
    }
}

impl Pairs for AdapterPairs<'_> {
    fn grid(&self) -> &Grid {
        self.changes.grid()
    }

    fn pair(&self, index: usize) -> Result<Pair<'_>, ModelError> {
        let base = self.base.map(|model| StoredCell { model, index });
        if let Some(change) = self.changes.factors(index)? {
            return Ok(Pair::Factors { base, change });
        }
        match (base, &self.changes.cells()[index], self.changes.whole()) {
            (Some(base), Change::Whole(at), Some(model)) => {
                Ok(Pair::Stored { base, tuned: StoredCell { model, index: *at } })
            }
            _ => {
                let reason =
                    "the adapter holds the whole matrix, and what it was before is not known: give --against BASE";
                Ok(Pair::Missing { status: Status::NotApplicable, reason: reason.to_owned() })
            }
        }
    }

    fn cast(&self) -> Option<Cast> {
        self.cast
    }

    fn bytes(&self, index: usize) -> u64 {
        self.base.map_or(0, |base| base.cell_bytes(index)) + self.changes.bytes(index)
    }

    fn matrices(&self) -> u64 {
        u64::from(self.base.is_some())
    }
}
