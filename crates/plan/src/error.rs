/// Why there is no plan, or no recipe.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A plan file that cannot be read.
    #[error("plan.json cannot be used\n  found: {reason}\n  hint: tomograph plan writes it")]
    File {
        /// What is wrong with it.
        reason: String,
    },
    /// A type that does not exist.
    #[error(
        "unknown type {text}\n  expected: a type of GGUF (q4_0, q6_k), intN:gN, intN-sym:gN, fp8, nvfp4 or original"
    )]
    Type {
        /// As it was written.
        text: String,
    },
    /// A client that does not exist.
    #[error("unknown client {name:?}\n  expected: one of {known}")]
    Client {
        /// As it was written.
        name: String,
        /// Their ids.
        known: String,
    },
    /// A client that does something else.
    #[error("{client} has no recipes for a plan of {kind}\n  hint: tomograph list clients says what each takes")]
    Unsupported {
        /// The client.
        client: String,
        /// What the plan decides.
        kind: String,
    },
    /// A recipe that the client would read in another way than it is meant.
    #[error("the recipe for {client} would not do what the plan says\n  file: {file}\n  found: {reason}")]
    Match {
        /// The client.
        client: String,
        /// The file.
        file: String,
        /// Which pattern, and what it hits.
        reason: String,
    },
    /// The model has no names in the dialect that the client reads.
    #[error(
        "{client} knows tensors by another dialect's names, and {cell} has none there\n  hint: make the map from a checkpoint of a known family; maps of versions before plans hold no names"
    )]
    Names {
        /// The client.
        client: String,
        /// The cell.
        cell: String,
    },
    /// A budget that is none.
    #[error("the budget is not understood\n  expected: {expected}\n  found: {text}")]
    Budget {
        /// As it was written, quoted.
        text: String,
        /// How it is written.
        expected: &'static str,
    },
    /// A budget that says nothing of this kind of plan.
    #[error("a budget of {text} says nothing about a plan of {kind}\n  expected: {expected}")]
    BudgetKind {
        /// As it was written.
        text: String,
        /// What the plan decides.
        kind: &'static str,
        /// Which budgets do.
        expected: &'static str,
    },
    /// A budget below what the smallest decisions take.
    #[error(
        "the budget is too small\n  asked: {asked}, which leaves {limit} {unit}\n  smallest possible: {smallest} {unit}\n  hint: {hint}"
    )]
    Infeasible {
        /// As it was asked for.
        asked: String,
        /// What it leaves to the cells.
        limit: u64,
        /// What they take at least.
        smallest: u64,
        /// Of what.
        unit: &'static str,
        /// What to do.
        hint: String,
    },
    /// A map that lacks what costs are made of.
    #[error("the map cannot say what decisions cost\n  costs: {model}\n  missing: {missing}\n  hint: {command}")]
    Columns {
        /// Which costs were asked for.
        model: String,
        /// Which columns are not there.
        missing: String,
        /// What to run.
        command: String,
    },
    /// Cells without a score.
    #[error("the column {column} has no usable score for {cells}\n  hint: {hint}")]
    Scores {
        /// Id of the metric.
        column: String,
        /// Which cells, and why.
        cells: String,
        /// What to do.
        hint: String,
    },
    /// A metric that costs or worth cannot be made of.
    #[error("{metric} cannot decide a plan\n  found: {reason}")]
    Metric {
        /// Its id.
        metric: String,
        /// Why.
        reason: String,
    },
    /// A wish that cannot be met.
    #[error("{text} cannot be kept\n  found: {reason}")]
    Keep {
        /// The wish.
        text: String,
        /// Why.
        reason: String,
    },
    /// A type that the client lacks.
    #[error("{client} cannot store weights as {stored}\n  expected: {known}")]
    ClientType {
        /// The client.
        client: String,
        /// The type.
        stored: String,
        /// Its types.
        known: String,
    },
    /// A mix that does not exist, or a client without a rule of its own.
    #[error("there is no rule to follow: {reason}\n  expected: one of llama.cpp's mixes, {known}")]
    Rule {
        /// Why.
        reason: String,
        /// Ids of mixes.
        known: String,
    },
    /// A map that nothing can be planned from.
    #[error("nothing can be planned from this map\n  found: {reason}")]
    Map {
        /// Why.
        reason: String,
    },
    /// An address that selects nothing.
    #[error(transparent)]
    Selection(#[from] tomo_map::SelectionError),
    /// A name that cannot stand in a file for another program.
    #[error(
        "the tensor of {cell} has a name that cannot be written down safely\n  found: {name}\n  expected: letters, digits and . _ -"
    )]
    Unwritable {
        /// The cell, or the role of another tensor.
        cell: String,
        /// The name, quoted.
        name: String,
    },
    /// Two decisions where the client has one matrix.
    #[error(
        "{client} stores {cells} as one, but the plan decides {decisions}\n  where: {place}\n  hint: make the plan for this client, which ties them"
    )]
    Joined {
        /// The client.
        client: String,
        /// The two cells.
        cells: String,
        /// What is decided on them.
        decisions: String,
        /// The tensor, or the layer.
        place: String,
    },
    /// A type that the client does not have, or not for rows of this length.
    #[error(
        "{client} cannot store {cell} as {stored}\n  found: rows of {columns} weights\n  expected: one of {types}, where a group has to divide a row"
    )]
    Lacks {
        /// The client.
        client: String,
        /// The cell.
        cell: String,
        /// The type.
        stored: String,
        /// Length of a row.
        columns: u64,
        /// What it has.
        types: String,
    },
}
