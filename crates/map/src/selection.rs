//! Cells by address, as people type them.

use std::fmt;
use std::str::FromStr;

use crate::{CellId, Component, Grid, near_names};

/// Why an address selects nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// An address that is none.
    #[error(
        "{text} selects no cells\n  expected: all, or layers, component and expert, each where it matters: L12, L3-7.mlp, \
         attn.v, L12.mlp.down, L12.mlp.down.e3{}",
        did_you_mean(near)
    )]
    Form {
        /// What was found, quoted.
        text: String,
        /// Components with like names.
        near: Vec<String>,
    },

    /// A layer beyond the last.
    #[error("{selection} selects a layer that the model does not have\n  expected: 0 to {}\n  found: {layer}", .layers.saturating_sub(1))]
    Layer {
        /// The address.
        selection: String,
        /// The layer.
        layer: u32,
        /// L.
        layers: u32,
    },

    /// An address at which there is no cell.
    #[error("{selection} selects no cell of this model\n  found: {there}")]
    Nothing {
        /// The address.
        selection: String,
        /// What there is.
        there: String,
    },
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("\n  hint: did you mean {}?", near.join(" or ")) }
}

/// Cells by address: `L12.mlp.down`, `attn.v`, `L3-7.mlp`, `L0.mlp.up.e3`, `all`; several separated by commas.
///
/// ```
/// use tomo_map::Selection;
///
/// let selection: Selection = "L3-7.mlp.down, attn".parse()?;
/// assert_eq!(selection.to_string(), "L3-7.mlp.down,attn");
/// # Ok::<(), tomo_map::SelectionError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    parts: Vec<Part>,
}

/// One address. What is `None` is not asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Part {
    /// First and last layer.
    layers: Option<(u32, u32)>,
    group: Group,
    expert: Option<u32>,
}

/// Which projections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Group {
    #[default]
    All,
    /// Of attention, or else of the MLP.
    Sublayer(Sublayer),
    One(Component),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sublayer {
    Attention,
    Mlp,
}

impl Sublayer {
    const ALL: [Self; 2] = [Self::Attention, Self::Mlp];

    const fn word(self) -> &'static str {
        match self {
            Self::Attention => "attn",
            Self::Mlp => "mlp",
        }
    }
}

impl Group {
    fn holds(self, component: Component) -> bool {
        match self {
            Self::All => true,
            Self::Sublayer(sublayer) => component.id().split('.').next() == Some(sublayer.word()),
            Self::One(one) => one == component,
        }
    }
}

impl Part {
    fn holds(&self, cell: CellId) -> bool {
        self.layers.is_none_or(|(first, last)| (first..=last).contains(&cell.layer))
            && self.group.holds(cell.component)
            && self.expert.is_none_or(|e| cell.expert == Some(e))
    }
}

impl Selection {
    /// The cell `id` alone.
    pub fn cell(id: CellId) -> Self {
        let layers = Some((id.layer, id.layer));
        Self { parts: vec![Part { layers, group: Group::One(id.component), expert: id.expert }] }
    }

    /// Indices of the cells of `grid` that it holds, ascending.
    ///
    /// # Errors
    /// A layer that the model does not have; an address at which there is no cell.
    pub fn cells(&self, grid: &Grid) -> Result<Vec<usize>, SelectionError> {
        for part in &self.parts {
            if let Some((_, last)) = part.layers.filter(|(_, last)| *last >= grid.layers) {
                return Err(SelectionError::Layer { selection: part.to_string(), layer: last, layers: grid.layers });
            }
            if !grid.cells.iter().any(|cell| part.holds(cell.id)) {
                return Err(SelectionError::Nothing { selection: part.to_string(), there: part.what_is_there(grid) });
            }
        }
        let held = |id: CellId| self.parts.iter().any(|part| part.holds(id));
        Ok((0..grid.cells.len()).filter(|at| held(grid.cells[*at].id)).collect())
    }
}

impl Part {
    /// Why nothing is at this address, given what is.
    fn what_is_there(&self, grid: &Grid) -> String {
        if let Group::One(component) = self.group
            && let Some(missing) = grid.missing.iter().find(|m| m.component == component)
        {
            return missing.reason.clone();
        }
        let within = Self { expert: None, ..*self };
        let cells: Vec<CellId> = grid.cells.iter().map(|c| c.id).filter(|id| within.holds(*id)).collect();
        match (self.expert, cells.iter().filter_map(|id| id.expert).max()) {
            (Some(_), Some(last)) => format!("experts e0 to e{last}"),
            (Some(_), None) if !cells.is_empty() => "no experts".to_owned(),
            _ => {
                let has = |c: &Component| grid.cells.iter().any(|cell| cell.id.component == *c);
                let components: Vec<&str> = Component::ALL.iter().filter(|c| has(c)).map(|c| c.id()).collect();
                format!("{} in {} layers", components.join(" "), grid.layers)
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers.map(|(first, last)| match first == last {
            true => format!("L{first}"),
            false => format!("L{first}-{last}"),
        });
        let group = match self.group {
            Group::All => None,
            Group::Sublayer(sublayer) => Some(sublayer.word().to_owned()),
            Group::One(component) => Some(component.id().to_owned()),
        };
        let words: Vec<String> = [layers, group, self.expert.map(|e| format!("e{e}"))].into_iter().flatten().collect();
        f.write_str(if words.is_empty() { "all".to_owned() } else { words.join(".") }.as_str())
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.parts.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        let parts = text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }
}

impl FromStr for Part {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        if text == "all" {
            return Ok(Self::default());
        }
        // An expert as maps write it, `L0.mlp.up[3]`, is understood too.
        let bracketed = text.strip_suffix(']').and_then(|t| t.rsplit_once('['));
        let (rest, bracket) = bracketed.map_or((text, None), |(rest, expert)| (rest, Some(expert)));
        let mut words: Vec<&str> = rest.split('.').collect();
        let mut part = Self::default();
        if let Some(layers) = layers_from_word(words[0]) {
            part.layers = Some(layers);
            words.remove(0);
        }
        let mut expert = bracket;
        if expert.is_none()
            && let Some(digits) = words.last().and_then(|word| word.strip_prefix('e'))
        {
            expert = Some(digits);
            words.pop();
        }
        if let Some(digits) = expert {
            part.expert = Some(number(digits).ok_or_else(|| wrong(text))?);
        }
        part.group = match words.as_slice() {
            [] if part != Self::default() => Group::All,
            [sublayer] => {
                let known = Sublayer::ALL.into_iter().find(|s| s.word() == *sublayer);
                Group::Sublayer(known.ok_or_else(|| wrong(text))?)
            }
            [_, _] => Group::One(words.join(".").parse().map_err(|_| wrong(text))?),
            _ => return Err(wrong(text)),
        };
        Ok(part)
    }
}

/// `L12` or `L3-7` (`L3-L7` too), the last not before the first.
fn layers_from_word(word: &str) -> Option<(u32, u32)> {
    let range = word.strip_prefix('L')?;
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (number(first)?, number(last.strip_prefix('L').unwrap_or(last))?);
    (first <= last).then_some((first, last))
}

/// Digits alone: no sign, no blank.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn wrong(text: &str) -> SelectionError {
    // What surrounds the component may be right: its nearest name is looked for alone, and put back.
    let is_component =
        |word: &&str| layers_from_word(word).is_none() && word.strip_prefix('e').and_then(number).is_none();
    let asked = text.split('.').filter(is_component).collect::<Vec<_>>().join(".");
    let words = Component::ALL.iter().map(|c| c.id()).chain(Sublayer::ALL.map(Sublayer::word)).chain(["all"]);
    let near = near_names(&asked, words.map(str::to_owned));
    SelectionError::Form { text: format!("{text:?}"), near }
}
