//! Changes in their order, and what becomes of each cell.

use std::fmt;
use std::str::FromStr;

use tomo_map::{CellId, Grid, Selection};

use super::edits::{Defaults, Edit, EditContext};
use super::error::ChangeError;
use super::shared::Shared;
use crate::engine::Variant;

/// `SELECTION=EDIT`.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Which cells.
    pub selection: Selection,
    /// What is done to them.
    pub edit: Edit,
}

/// Changes to a model, read in order: the last word on a cell counts. As text they are separated by semicolons.
///
/// ```
/// use tomo_model::change::Changes;
///
/// let changes: Changes = "all=int3; L5 = restored".parse()?;
/// assert_eq!(changes.to_string(), "all=int3; L5=restored");
/// # Ok::<(), tomo_model::change::ChangeError>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Changes(pub Vec<Entry>);

impl Changes {
    /// Every cell that is changed, by its index in the grid, ascending, and the edit that counts.
    ///
    /// # Errors
    /// A selection that does not fit the model.
    pub fn cells(&self, grid: &Grid) -> Result<Vec<(usize, Edit)>, ChangeError> {
        let mut last = vec![None; grid.cells.len()];
        for entry in &self.0 {
            for cell in entry.selection.cells(grid)? {
                last[cell] = Some(&entry.edit).filter(|edit| **edit != Edit::Restored);
            }
        }
        let edits = last.into_iter().enumerate();
        Ok(edits.filter_map(|(cell, edit)| Some((cell, edit?.clone()))).collect())
    }

    /// The same changes with nothing left open.
    #[must_use]
    pub fn settled(self, defaults: &Defaults) -> Self {
        let settle = |Entry { selection, edit }| Entry { selection, edit: edit.settled(defaults) };
        Self(self.0.into_iter().map(settle).collect())
    }

    /// The changes as texts.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl FromIterator<Self> for Changes {
    /// One after the other.
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        Self(all.into_iter().flat_map(|changes| changes.0).collect())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.selection, self.edit)
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join("; "))
    }
}

impl FromStr for Entry {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let form = || ChangeError::Form { text: format!("{text:?}") };
        let (selection, edit) = text.split_once('=').ok_or_else(form)?;
        Ok(Self { selection: selection.trim().parse()?, edit: edit.trim().parse()? })
    }
}

impl FromStr for Changes {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
        let entries: Vec<Entry> = entries.map(str::parse).collect::<Result<_, _>>()?;
        if entries.is_empty() {
            return Err(ChangeError::Form { text: format!("{text:?}") });
        }
        Ok(Self(entries))
    }
}

/// A changed model for the engine, and what is worth saying about it.
pub struct MadeVariant {
    /// The changes the engine makes.
    pub variant: Variant,
    /// Sentences, each with the cells it is true of, in the order in which they came up.
    pub notes: Vec<Note>,
}

/// Something worth knowing about a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The sentence.
    pub text: String,
    /// The cells it is true of.
    pub cells: Vec<CellId>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cells.as_slice() {
            [] => f.write_str(&self.text),
            [cell] => write!(f, "{} ({cell})", self.text),
            [first, rest @ ..] => write!(f, "{} ({first} and {} more)", self.text, rest.len()),
        }
    }
}

impl EditContext<'_> {
    /// The variant in which every cell of `edits` is changed as it says.
    ///
    /// # Errors
    /// As [`EditContext::make`].
    ///
    /// # Panics
    /// When the model has not so many cells.
    pub fn variant(&self, edits: &[(usize, Edit)]) -> Result<MadeVariant, ChangeError> {
        self.make_variant(edits, None)
    }

    /// As [`EditContext::variant`], with changes that other variants made with the same `shared` have too.
    ///
    /// # Errors
    /// As [`EditContext::make`].
    ///
    /// # Panics
    /// When the model has not so many cells.
    pub fn variant_sharing(&self, edits: &[(usize, Edit)], shared: &Shared) -> Result<MadeVariant, ChangeError> {
        self.make_variant(edits, Some(shared))
    }

    fn make_variant(&self, edits: &[(usize, Edit)], shared: Option<&Shared>) -> Result<MadeVariant, ChangeError> {
        let mut made = MadeVariant { variant: Variant::default(), notes: Vec::new() };
        for (cell, edit) in edits {
            let one = self.make(*cell, edit)?;
            let id = self.model.cells()[*cell].id;
            let share = |change| match shared {
                Some(shared) => shared.change(id.layer, *cell, &edit.to_string(), change),
                None => change,
            };
            made.variant.changes.extend(one.change.map(|change| (*cell, share(change))));
            let Some(text) = one.note else { continue };
            match made.notes.iter_mut().find(|note| note.text == text) {
                Some(note) => note.cells.push(id),
                None => made.notes.push(Note { text, cells: vec![id] }),
            }
        }
        Ok(made)
    }
}
