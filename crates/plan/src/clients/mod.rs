//! The programs that act on plans: one file each, and one line of the registry below.

use crate::{Choice, Decision, Kind, Plan, PlanError, Stored};

mod dry_run;
mod modules;
mod pairs;

/// Declares the files of the clients and the ordered registry at once: a new client is its file and one line here.
macro_rules! registry {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every client, in the order of help, tables and documents.
        pub static CLIENTS: &[&Client] = &[$(&$module::CLIENT,)*];

        /// File name of each entry.
        #[cfg(test)]
        const MODULES: &[&str] = &[$(stringify!($module),)*];
    };
}

registry! {
    llama_cpp,
    mlx,
    mistral_rs,
    gptqmodel,
    llm_compressor,
    modelopt,
    peft,
    axolotl,
    simulated,
}

#[cfg(test)]
mod tests;

/// Whose names a client knows tensors by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// `blk.3.attn_q.weight`.
    Gguf,
    /// `model.layers.3.self_attn.q_proj.weight`.
    HuggingFace,
}

/// Whether a client wants q, k and v, and gate and up, stored alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fuse {
    /// It does not care.
    Free,
    /// It does: it joins them when it loads them.
    Demanded,
}

/// A program that acts on plans.
#[derive(Debug)]
pub struct Client {
    /// Identifier: `llama.cpp`, `mlx`, `peft`.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// The client's own source file; its `//!` header is the manual.
    pub source: &'static str,
    /// Which plans it acts on.
    pub kinds: &'static [Kind],
    /// What it can store cells as, from the fewest bits; as [`Stored`] is written. Empty where it stores nothing.
    pub types: &'static [&'static str],
    /// Those of them a plan may use unless told otherwise.
    pub usual: &'static [&'static str],
    /// Whose names it knows.
    pub dialect: Dialect,
    /// Whether some cells must be alike.
    pub fuse: Fuse,
    /// Whether rows of so many columns can be stored as this at all.
    pub fits: fn(Stored, u64) -> bool,
    /// Bytes that a matrix of so many rows and columns takes there.
    pub bytes: fn(Stored, u64, u64) -> u64,
    /// Writes its files.
    pub write: fn(&Plan) -> Result<Vec<Recipe>, PlanError>,
    /// Reads them again as the client does, and says what does not do what the plan says.
    pub check: fn(&Plan, &[Recipe]) -> Result<(), PlanError>,
}

/// A file for a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipe {
    /// File name.
    pub name: String,
    /// What to do with it, in one sentence or a command line.
    pub usage: String,
    /// What is in it.
    pub text: String,
}

/// The client called `id`.
///
/// # Errors
/// [`PlanError::Client`].
pub fn find(id: &str) -> Result<&'static Client, PlanError> {
    CLIENTS.iter().copied().find(|client| client.id == id).ok_or_else(|| PlanError::Client {
        name: id.to_owned(),
        known: CLIENTS.iter().map(|client| client.id).collect::<Vec<_>>().join(", "),
    })
}

/// The files that `client` needs to act on `plan`, read again by its own rules before they are handed out.
///
/// # Errors
/// A client without recipes for this kind of plan, names that are missing, a pattern that hits nothing, too much, or is shadowed.
pub fn recipes(client: &'static Client, plan: &Plan) -> Result<Vec<Recipe>, PlanError> {
    if !client.kinds.contains(&plan.kind) {
        let kind = format!("{:?}", plan.kind).to_lowercase();
        return Err(PlanError::Unsupported { client: client.id.to_owned(), kind });
    }
    for cell in &plan.cells {
        client.check_type(cell)?;
    }
    let files = (client.write)(plan)?;
    (client.check)(plan, &files)?;
    Ok(files)
}

impl Client {
    /// Whether it stores cells as this.
    pub fn has(&self, stored: Stored) -> bool {
        let text = match stored {
            Stored::Original { .. } => "original".to_owned(),
            stored => stored.to_string(),
        };
        self.types.contains(&text.as_str())
    }

    fn check_type(&self, cell: &Decision) -> Result<(), PlanError> {
        let Choice::Stored(stored) = cell.choice else { return Ok(()) };
        if self.has(stored) && (self.fits)(stored, cell.in_features) {
            return Ok(());
        }
        Err(PlanError::Lacks {
            client: self.id.to_owned(),
            cell: cell.id.to_string(),
            stored: stored.to_string(),
            columns: cell.in_features,
            types: self.types.join(" "),
        })
    }
}
