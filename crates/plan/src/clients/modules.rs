//! The model as a client addresses it: modules by name, each with the cells it holds and one decision.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tomo_map::{Component, Names};

use super::dry_run::Subject;
use super::{Client, Dialect, Recipe};
use crate::{Choice, Decision, OtherDecision, Plan, PlanError, Stored};

/// A matrix of the client, and the cells that are in it.
#[derive(Clone, Debug)]
pub(super) struct Module<'a> {
    /// The tensor's name in the client's dialect.
    pub(super) tensor: String,
    /// What is decided on all of its cells.
    pub(super) choice: Choice,
    /// At least one.
    pub(super) cells: Vec<&'a Decision>,
}

impl Module<'_> {
    /// Its name as a module of a network: without `.weight`.
    pub(super) fn name(&self) -> &str {
        self.tensor.strip_suffix(".weight").unwrap_or(&self.tensor)
    }

    /// What it holds, for people.
    pub(super) fn what(&self) -> String {
        let rest = if self.cells.len() > 1 { " and more" } else { "" };
        format!("{}{rest}", self.cells[0].id)
    }

    /// How it is stored, in a plan of bits.
    pub(super) fn stored(&self) -> Option<Stored> {
        stored(self.choice)
    }
}

pub(super) fn stored(choice: Choice) -> Option<Stored> {
    if let Choice::Stored(stored) = choice { Some(stored) } else { None }
}

/// A decision in words, the same for the plan and for a recipe that was read back.
pub(super) fn in_words(choice: Choice) -> String {
    match choice {
        Choice::Stored(stored) => stored.to_string(),
        Choice::Rank { rank: 0, .. } => "without a pair".to_owned(),
        Choice::Rank { rank, alpha } => format!("rank {rank} with alpha {alpha}"),
        Choice::Train(true) => "trained".to_owned(),
        Choice::Train(false) => "frozen".to_owned(),
        Choice::Sparsity(share) => format!("sparsity {share}"),
    }
}

/// The modules of a plan in its order, named as `client` names tensors.
///
/// # Errors
/// A cell without a name, a name that cannot stand in a pattern, cells of one tensor with two decisions.
pub(super) fn modules<'a>(plan: &'a Plan, client: &Client) -> Result<Vec<Module<'a>>, PlanError> {
    modules_named(plan, client, |cell| named(&cell.names, client.dialect).map(str::to_owned))
}

/// The same, with names of the client's own.
pub(super) fn modules_named<'a>(
    plan: &'a Plan,
    client: &Client,
    name: impl Fn(&Decision) -> Option<String>,
) -> Result<Vec<Module<'a>>, PlanError> {
    let mut modules: Vec<Module<'a>> = Vec::new();
    let mut places = HashMap::new();
    for cell in &plan.cells {
        let missing = || PlanError::Names { client: client.id.to_owned(), cell: cell.id.to_string() };
        let tensor = name(cell).ok_or_else(missing)?;
        if !is_plain(&tensor) {
            return Err(PlanError::Unwritable { cell: cell.id.to_string(), name: format!("{tensor:?}") });
        }
        match places.entry(tensor.clone()) {
            Entry::Vacant(place) => {
                place.insert(modules.len());
                modules.push(Module { tensor, choice: cell.choice, cells: vec![cell] });
            }
            Entry::Occupied(place) => {
                let module = &mut modules[*place.get()];
                same(client, module.cells[0], cell, &tensor)?;
                module.cells.push(cell);
            }
        }
    }
    Ok(modules)
}

/// The name in a dialect.
pub(super) fn named(names: &Names, dialect: Dialect) -> Option<&str> {
    match dialect {
        Dialect::Gguf => names.gguf.as_deref(),
        Dialect::HuggingFace => names.hugging_face.as_deref(),
    }
}

/// Tensors that hold no cell and have a name in the client's dialect.
pub(super) fn others<'a>(plan: &'a Plan, client: &Client) -> impl Iterator<Item = (&'a str, &'a OtherDecision)> {
    let dialect = client.dialect;
    plan.others.iter().filter_map(move |other| Some((named(&other.names, dialect)?, other)))
}

/// Modules that hold no cell, as subjects that no rule may match. Biases belong to modules that are there already.
pub(super) fn other_modules(plan: &Plan, client: &Client) -> Vec<Subject> {
    let module = |(name, other): (&str, &OtherDecision)| {
        let name = name.strip_suffix(".weight").filter(|_| other.role != "bias")?.to_owned();
        Some(Subject { name, what: other.role.clone(), wants: None })
    };
    others(plan, client).filter_map(module).collect()
}

/// Modules that hold cells as subjects, each wanting what `wants` says of it.
pub(super) fn subjects(modules: &[Module<'_>], wants: impl Fn(&Module<'_>) -> Option<String>) -> Vec<Subject> {
    let subject = |m: &Module<'_>| Subject { name: m.name().to_owned(), what: m.what(), wants: wants(m) };
    modules.iter().map(subject).collect()
}

/// Names that need no quoting in shells and no escapes in expressions but for the dot.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// What a runtime that joins matrices has as one: q, k and v of a layer, gate and up, all experts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Joined {
    QueryKeyValue,
    GateUp,
    Experts,
    Alone(Component),
}

pub(super) fn joined(cell: &Decision) -> Joined {
    match cell.id.component {
        _ if cell.id.expert.is_some() => Joined::Experts,
        Component::AttnQ | Component::AttnK | Component::AttnV => Joined::QueryKeyValue,
        Component::MlpUp | Component::MlpGate => Joined::GateUp,
        component => Joined::Alone(component),
    }
}

/// Checks that what is joined has one decision.
///
/// # Errors
/// The first two cells that differ.
pub(super) fn check_joined(plan: &Plan, client: &Client) -> Result<(), PlanError> {
    let mut first: HashMap<(u32, String), &Decision> = HashMap::new();
    for cell in &plan.cells {
        let group = joined(cell);
        let one = first.entry((cell.id.layer, format!("{group:?}"))).or_insert(cell);
        same(client, one, cell, &format!("layer {}, which it joins when it loads the model", cell.id.layer))?;
    }
    Ok(())
}

fn same(client: &Client, one: &Decision, other: &Decision, place: &str) -> Result<(), PlanError> {
    let (first, second) = (in_words(one.choice), in_words(other.choice));
    if first == second {
        return Ok(());
    }
    Err(PlanError::Joined {
        client: client.id.to_owned(),
        cells: format!("{} and {}", one.id, other.id),
        decisions: format!("{first} and {second}"),
        place: place.to_owned(),
    })
}

/// What most have; of several, what comes first.
pub(super) fn most_common<T: PartialEq + Copy>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: Vec<(T, usize)> = Vec::new();
    for one in all {
        match counts.iter_mut().find(|(other, _)| *other == one) {
            Some((_, count)) => *count += 1,
            None => counts.push((one, 1)),
        }
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(one, _)| one)
}

/// The text of a recipe.
pub(super) fn text_of<'a>(client: &Client, files: &'a [Recipe], name: &str) -> Result<&'a str, PlanError> {
    let file = files.iter().find(|file| file.name == name);
    file.map(|file| file.text.as_str()).ok_or_else(|| mismatch(client, name, "it is not there"))
}

/// Why a recipe would not do what the plan says.
pub(super) fn mismatch(client: &Client, file: &str, reason: impl Into<String>) -> PlanError {
    PlanError::Match { client: client.id.to_owned(), file: file.to_owned(), reason: reason.into() }
}
