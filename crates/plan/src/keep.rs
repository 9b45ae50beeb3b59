//! What the user insists on: `attn.v>=q5_0`.

use std::fmt;
use std::str::FromStr;

use tomo_map::{Grid, Inventory, Selection};

use crate::{PlanError, Stored};

/// A bound on how some cells, or some tensors that are no cells, are stored.
///
/// `SELECTION>=TYPE`, `SELECTION<=TYPE` (by the bytes they take) or `SELECTION=TYPE`. Selections are those of changes (`attn.v`,
/// `L0-3`, `L12.mlp.down`, `all`), and the roles of tensors that are no cells (`embedding`, `head`).
#[derive(Clone, PartialEq, Debug)]
pub struct Keep {
    /// Cells.
    pub(crate) cells: Option<Selection>,
    /// Roles of tensors that are no cells.
    pub(crate) roles: Vec<String>,
    /// Which way.
    pub(crate) bound: Bound,
    /// Against what.
    pub(crate) stored: Stored,
}

/// Which way a [`Keep`] bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    AtLeast,
    AtMost,
    Exactly,
}

impl Bound {
    const ALL: [Self; 3] = [Self::AtLeast, Self::AtMost, Self::Exactly];

    const fn sign(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Exactly => "=",
        }
    }

    /// Whether something that takes `bytes` is within the bound of what takes `of`.
    pub(crate) fn allows(self, bytes: u64, of: u64) -> bool {
        match self {
            Self::AtLeast => bytes >= of,
            Self::AtMost => bytes <= of,
            Self::Exactly => bytes == of,
        }
    }
}

/// Roles of tensors that are no cells and can be stored in another type.
const ROLES: [&str; 2] = ["embedding", "head"];

impl Keep {
    /// Indices of the cells that it speaks of.
    pub(crate) fn cells(&self, grid: &Grid) -> Result<Vec<usize>, PlanError> {
        Ok(self.cells.as_ref().map_or(Ok(Vec::new()), |cells| cells.cells(grid))?)
    }

    /// Indices of the tensors that it speaks of.
    pub(crate) fn others(&self, inventory: Option<&Inventory>) -> Result<Vec<usize>, PlanError> {
        let others = inventory.map_or(&[][..], |inventory| &inventory.others);
        for role in &self.roles {
            if !others.iter().any(|other| other.role == *role && other.shape.len() >= 2) {
                let reason = match role.as_str() {
                    "head" => "the model has no head of its own; where it shares the embedding, say embedding",
                    _ => "the map names no such tensor; make it again with this version",
                };
                return Err(PlanError::Keep { text: self.to_string(), reason: reason.to_owned() });
            }
        }
        let held = |at: &usize| others[*at].shape.len() >= 2 && self.roles.contains(&others[*at].role);
        Ok((0..others.len()).filter(held).collect())
    }
}

impl FromStr for Keep {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let split = Bound::ALL.into_iter().find_map(|bound| Some((bound, text.split_once(bound.sign())?)));
        let Some((bound, (selection, stored))) = split else {
            let reason = "expected SELECTION>=TYPE, SELECTION<=TYPE or SELECTION=TYPE, such as attn.v>=q5_0".to_owned();
            return Err(PlanError::Keep { text: format!("{text:?}"), reason });
        };
        let (roles, cells): (Vec<&str>, Vec<&str>) =
            selection.split(',').map(str::trim).partition(|part| ROLES.contains(part));
        let cells = if cells.is_empty() { None } else { Some(cells.join(",").parse()?) };
        let roles = roles.into_iter().map(str::to_owned).collect();
        Ok(Self { cells, roles, bound, stored: stored.trim().parse()? })
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.roles.iter().cloned().chain(self.cells.as_ref().map(ToString::to_string)).collect();
        write!(f, "{}{}{}", parts.join(","), self.bound.sign(), self.stored)
    }
}
