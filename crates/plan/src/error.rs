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
        "{client} knows tensors by another dialect's names, and {cell} has none there\n  hint: make the map from a checkpoint of a known family"
    )]
    Names {
        /// The client.
        client: String,
        /// The cell.
        cell: String,
    },
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
