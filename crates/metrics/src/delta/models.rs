use tomo_map::{CellId, Grid, Status};
use tomo_model::{Model, ModelError};

use super::{Cast, Pair, Pairs, StoredCell};

/// Two checkpoints of one family and shape; the grid is the tuned one's.
pub struct ModelPairs<'a> {
    tuned: &'a Model,
    base: &'a Model,
    /// For every cell of the tuned model its number in the base, or why there is none.
    partners: Vec<Result<usize, String>>,
    cast: Option<Cast>,
}

/// Why two checkpoints cannot be compared cell by cell.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// They are of different families.
    #[error(
        "the checkpoints are of different families\n  expected: {base}, as the base\n  found: {tuned}\n  hint: --partial \
         compares the cells that have the same name and shape in both"
    )]
    Family {
        /// Family of the tuned checkpoint.
        tuned: String,
        /// Family of the base.
        base: String,
    },
    /// A cell is there in one of them only.
    #[error(
        "{cell} is in {present} and not in {absent}\n  expected: the same cells in both ({base} in the base)\n  found: \
         {tuned} in the tuned checkpoint\n  hint: --partial compares the cells that are in both"
    )]
    Cell {
        /// The first such cell.
        cell: CellId,
        /// Who has it.
        present: &'static str,
        /// Who has not.
        absent: &'static str,
        /// Cells of the tuned checkpoint.
        tuned: usize,
        /// Cells of the base.
        base: usize,
    },
    /// A cell has another shape.
    #[error(
        "{cell} has another shape than in the base\n  tensor: {tensor:?}\n  expected: {expected}\n  found: {found}\n  hint: \
         --partial compares the cells whose shapes agree"
    )]
    Shape {
        /// The first such cell.
        cell: CellId,
        /// Its tensor in the tuned checkpoint.
        tensor: String,
        /// Its shape in the base.
        expected: String,
        /// Its shape in the tuned checkpoint.
        found: String,
    },
    /// The embeddings have different numbers of rows.
    #[error(
        "the checkpoints have vocabularies of different size\n  expected: {base} tokens, as the base\n  found: {tuned}\n  \
         hint: no cell of the map depends on it, if the model is the same otherwise: --partial compares them"
    )]
    Vocabulary {
        /// V of the tuned checkpoint.
        tuned: u64,
        /// V of the base.
        base: u64,
    },
}

impl<'a> ModelPairs<'a> {
    /// Pairs the cells of `tuned` with those of `base` by their address. With `partial`, cells that have no partner of their
    /// shape are left out, with the reason as their score, instead of being an error.
    ///
    /// # Errors
    /// What does not fit, unless `partial`.
    pub fn new(tuned: &'a Model, base: &'a Model, partial: bool) -> Result<Self, PairError> {
        if !partial {
            check(tuned, base)?;
        }
        let partner = |index: usize| {
            let cell = &tuned.grid().cells[index];
            let Some(at) = find(base, cell.id) else { return Err(format!("the base has no {}", cell.id)) };
            let other = &base.grid().cells[at];
            let [here, there] = [cell, other].map(|c| format!("{} x {}", c.out_features, c.in_features));
            if here == there { Ok(at) } else { Err(format!("it is {here}, and {there} in the base")) }
        };
        Ok(Self { tuned, base, partners: (0..tuned.grid().cells.len()).map(partner).collect(), cast: None })
    }

    /// The same, both sides rounded before they are compared.
    #[must_use]
    pub fn rounded_to(self, cast: Option<Cast>) -> Self {
        Self { cast, ..self }
    }

    /// What a reader has to know about this comparison; whole sentences without the full stop.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let compared = || self.partners.iter().enumerate().filter_map(|(at, to)| Some((at, *to.as_ref().ok()?)));
        let types = |at: usize, to: usize| (&self.base.grid().cells[to].dtype, &self.tuned.grid().cells[at].dtype);
        let other = compared().map(|(at, to)| types(at, to)).filter(|(a, b)| a != b);
        let mut kinds: Vec<_> = other.clone().collect();
        kinds.sort_unstable();
        kinds.dedup();
        if !kinds.is_empty() {
            let kinds: Vec<String> = kinds.iter().map(|(base, tuned)| format!("{base} to {tuned}")).collect();
            notes.push(format!(
                "{} of {} cells are stored in another type than in the base ({}): their differences include rounding or \
                 quantization",
                other.count(),
                self.partners.len(),
                kinds.join(", ")
            ));
        }
        let left_out = self.partners.len() - compared().count();
        if left_out > 0 {
            notes.push(format!(
                "{left_out} of {} cells have no counterpart of their shape in the base",
                self.partners.len()
            ));
        }
        let others = &self.base.grid().cells;
        let unseen = others.iter().filter(|cell| find(self.tuned, cell.id).is_none()).count();
        if unseen > 0 {
            notes.push(format!("{unseen} of {} cells of the base are not in the tuned checkpoint", others.len()));
        }
        notes
    }
}

/// Fails at the first thing that does not fit.
fn check(tuned: &Model, base: &Model) -> Result<(), PairError> {
    let (family, base_family) = (tuned.family(), base.family());
    // A guess from names alone (`llama-like`) says no more than the cells do.
    let is_guess = |name: &str| name.ends_with("-like");
    if family != base_family && !is_guess(family) && !is_guess(base_family) {
        return Err(PairError::Family { tuned: family.to_owned(), base: base_family.to_owned() });
    }
    let (cells, others) = (&tuned.grid().cells, &base.grid().cells);
    let counts =
        |cell, present, absent| PairError::Cell { cell, present, absent, tuned: cells.len(), base: others.len() };
    for cell in cells {
        let Some(at) = find(base, cell.id) else { return Err(counts(cell.id, "the tuned checkpoint", "the base")) };
        let other = &others[at];
        if (cell.out_features, cell.in_features) != (other.out_features, other.in_features) {
            return Err(PairError::Shape {
                cell: cell.id,
                tensor: cell.tensor.clone(),
                expected: format!("{} x {}", other.out_features, other.in_features),
                found: format!("{} x {}", cell.out_features, cell.in_features),
            });
        }
    }
    if let Some(cell) = others.iter().find(|cell| find(tuned, cell.id).is_none()) {
        return Err(counts(cell.id, "the base", "the tuned checkpoint"));
    }
    match (tuned.dims().vocab, base.dims().vocab) {
        (Some(tuned), Some(base)) if tuned != base => Err(PairError::Vocabulary { tuned, base }),
        _ => Ok(()),
    }
}

fn find(model: &Model, cell: CellId) -> Option<usize> {
    model.grid().cells.binary_search_by_key(&cell, |c| c.id).ok()
}

impl Pairs for ModelPairs<'_> {
    fn grid(&self) -> &Grid {
        self.tuned.grid()
    }

    fn pair(&self, index: usize) -> Result<Pair<'_>, ModelError> {
        Ok(match &self.partners[index] {
            Ok(at) => Pair::Stored {
                base: StoredCell { model: self.base, index: *at },
                tuned: StoredCell { model: self.tuned, index },
            },
            Err(reason) => Pair::Missing { status: Status::NotApplicable, reason: reason.clone() },
        })
    }

    fn cast(&self) -> Option<Cast> {
        self.cast
    }

    fn bytes(&self, index: usize) -> u64 {
        let base = self.partners[index].as_ref().map_or(0, |at| self.base.cell_bytes(*at));
        base + self.tuned.cell_bytes(index)
    }
}
