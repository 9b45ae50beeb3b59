use crate::{Ask, CostModel, Keep, Kind, Stored};

/// What a plan is to decide, and within what.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// What it decides.
    pub kind: Kind,
    /// The budget.
    pub ask: Ask,
    /// Where costs come from; of ranks and of trained cells, [`CostModel::Metric`] names the column their worth is taken from.
    pub cost: CostModel,
    /// Of bits: what cells may be stored as; empty: what the client usually does.
    pub types: Vec<Stored>,
    /// Of bits: bounds on some cells or tensors.
    pub keep: Vec<Keep>,
    /// Of bits: whether q, k and v, and gate and up, are stored alike even where the client does not demand it.
    pub fuse: bool,
    /// Of ranks: those a cell may have.
    pub ranks: Vec<u32>,
    /// Of ranks: alpha over rank, the same for all cells, so that none learns faster for its rank alone.
    pub alpha_per_rank: f64,
    /// Of sparsity: shares of a cell's weights that may be removed.
    pub shares: Vec<f64>,
    /// Version of the program.
    pub version: String,
    /// The command that asked for it.
    pub command: String,
}

impl Options {
    /// The defaults: costs from the best that the map has, the client's usual types, ranks 0 to 64, alpha twice the rank, shares in
    /// tenths up to .9.
    pub fn new(kind: Kind, ask: Ask) -> Self {
        Self {
            kind,
            ask,
            cost: CostModel::Auto,
            types: Vec::new(),
            keep: Vec::new(),
            fuse: false,
            ranks: vec![0, 4, 8, 16, 32, 64],
            alpha_per_rank: 2.0,
            shares: (0..10).map(|tenths| f64::from(tenths) / 10.0).collect(),
            version: String::new(),
            command: String::new(),
        }
    }
}
