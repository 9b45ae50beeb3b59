use std::collections::BTreeSet;

use crate::facts;

/// Which facts are planted. [`Plan::default`] plants all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    left_out: BTreeSet<String>,
}

impl Plan {
    /// Every fact but `id`; may be chained. An id that no fact has changes nothing.
    #[must_use]
    pub fn without(mut self, id: &str) -> Self {
        self.left_out.insert(id.to_owned());
        self
    }

    /// Nothing planted: Gaussian cells of one size.
    pub fn nothing() -> Self {
        facts().iter().fold(Self::default(), |plan, fact| plan.without(fact.id))
    }

    /// Whether the fact called `id` is planted.
    pub fn plants(&self, id: &str) -> bool {
        !self.left_out.contains(id)
    }
}
