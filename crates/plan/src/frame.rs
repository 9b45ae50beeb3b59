//! What every plan of a map has in common, whatever it decides.

use tomo_map::{Cell, CellId, GgufHeader, Map, Names};

use crate::about::about;
use crate::size::{Part, bytes_of_dtype, file_bytes};
use crate::{
    About, Budget, Choice, Client, CostSource, Decision, Dialect, Kind, Options, OtherDecision, Plan, PlanError,
    Stored, Totals,
};

/// The cells of a map as a client sees them.
pub(crate) struct Frame<'a> {
    pub(crate) map: &'a Map,
    pub(crate) client: &'static Client,
    pub(crate) names: Vec<Names>,
    pub(crate) others: Vec<OtherDecision>,
    gguf: Option<GgufHeader>,
}

/// What was decided on one cell.
pub(crate) struct Decided {
    pub(crate) choice: Choice,
    pub(crate) size: u64,
    pub(crate) cost: f64,
}

/// What a plan says of its costs.
pub(crate) struct Reckoning {
    pub(crate) source: CostSource,
    pub(crate) bound: f64,
    pub(crate) fused: bool,
    pub(crate) notes: Vec<String>,
}

impl<'a> Frame<'a> {
    /// # Errors
    /// A map without cells; a wish that no tensor can meet.
    pub(crate) fn new(map: &'a Map, client: &'static Client, options: &Options) -> Result<Self, PlanError> {
        if map.grid.cells.is_empty() {
            return Err(PlanError::Map { reason: "it has no cells".to_owned() });
        }
        if map.sides.is_some() {
            return Err(PlanError::Map { reason: "it is the difference of two maps".to_owned() });
        }
        let inventory = map.inventory.as_deref();
        let names = inventory.map_or_else(|| vec![Names::default(); map.grid.cells.len()], |it| it.cells.clone());
        let others = others(map, client, options)?;
        // A header is known of a GGUF file only, and is written again only by a client that writes GGUF.
        let gguf = inventory.and_then(|it| it.gguf).filter(|_| client.dialect == Dialect::Gguf);
        Ok(Self { map, client, names, others, gguf })
    }

    pub(crate) fn cells(&self) -> &'a [Cell] {
        &self.map.grid.cells
    }

    /// Cells with their names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (CellId, &Names)> {
        self.cells().iter().zip(&self.names).map(|(cell, names)| (cell.id, names))
    }

    pub(crate) fn weights(&self) -> u64 {
        self.cells().iter().map(Cell::numel).fold(0, u64::saturating_add)
    }

    /// Bytes that a cell takes stored so.
    pub(crate) fn bytes(&self, cell: usize, stored: Stored) -> u64 {
        let cell = &self.cells()[cell];
        (self.client.bytes)(stored, cell.out_features, cell.in_features)
    }

    /// What a cell is stored as when `nominal` is asked for: what the client falls back to where its rows do not fit, or else as it
    /// is in the checkpoint.
    pub(crate) fn on(&self, cell: usize, nominal: Stored) -> Stored {
        let columns = self.cells()[cell].in_features;
        match nominal {
            Stored::Original { .. } => self.original(cell),
            nominal if (self.client.fits)(nominal, columns) => nominal.on(columns),
            _ => self.original(cell),
        }
    }

    /// As the checkpoint has it, in whole bits.
    fn original(&self, cell: usize) -> Stored {
        let cell = &self.cells()[cell];
        let bytes = bytes_of_dtype(&cell.dtype, cell.out_features, cell.in_features);
        let bits = bytes.map_or(16, |bytes| bytes.saturating_mul(8) / cell.numel().max(1));
        Stored::Original { bits: u32::try_from(bits).unwrap_or(16) }
    }

    /// Bytes of the cells in the checkpoint.
    pub(crate) fn bytes_now(&self) -> Result<u64, PlanError> {
        let cells = self.cells().iter();
        cells
            .map(|cell| {
                bytes_of_dtype(&cell.dtype, cell.out_features, cell.in_features).ok_or_else(|| PlanError::Map {
                    reason: format!("what {} takes now is not known: it is stored as {}", cell.id, cell.dtype),
                })
            })
            .try_fold(0_u64, |sum, bytes| Ok(sum.saturating_add(bytes?)))
    }

    /// Bytes of tensors that are no cells.
    pub(crate) fn other_bytes(&self) -> u64 {
        self.others.iter().map(|other| other.bytes).fold(0, u64::saturating_add)
    }

    /// Bytes of the file with cells of so many bytes, where that is known.
    pub(crate) fn file(&self, bytes: impl Fn(usize) -> u64) -> Option<u64> {
        let parts = self.cells().iter().zip(&self.names).enumerate().map(|(at, (cell, names))| Part {
            id: cell.id,
            names,
            out_features: cell.out_features,
            in_features: cell.in_features,
            bytes: bytes(at),
        });
        file_bytes(self.gguf?, parts, &self.others)
    }

    /// Bytes of one GGUF tensor, as the file pads them; unpadded where no file is written.
    pub(crate) fn padded(&self, bytes: u64) -> u64 {
        self.gguf.map_or(bytes, |header| bytes.checked_next_multiple_of(header.alignment.max(1)).unwrap_or(u64::MAX))
    }

    /// The plan of these decisions, parallel to the cells.
    pub(crate) fn plan(&self, options: &Options, budget: Budget, decided: Vec<Decided>, reckoning: Reckoning) -> Plan {
        let Reckoning { source, bound, fused, notes } = reckoning;
        let size: u64 = decided.iter().map(|one| one.size).sum();
        let cost: f64 = decided.iter().map(|one| one.cost).sum();
        let bits = options.kind == Kind::Bits;
        let totals = Totals {
            cells: size,
            others: if bits { self.other_bytes() } else { 0 },
            file: if bits { self.file(|at| decided[at].size) } else { None },
            bits_per_weight: bits.then(|| 8.0 * size as f64 / self.weights() as f64),
            cost,
            bound,
        };
        let cells = self.cells().iter().zip(&self.names).zip(decided).map(|((cell, names), one)| Decision {
            id: cell.id,
            out_features: cell.out_features,
            in_features: cell.in_features,
            names: names.clone(),
            choice: one.choice,
            size: one.size,
            cost: one.cost,
        });
        Plan {
            about: self.about(options, notes),
            client: self.client.id.to_owned(),
            kind: options.kind,
            budget,
            cost: source,
            fused,
            totals,
            cells: cells.collect(),
            others: self.others.clone(),
            gguf: self.gguf,
        }
    }

    fn about(&self, options: &Options, mut notes: Vec<String>) -> About {
        if self.map.inventory.is_none() {
            notes.push("the map names no tensors: recipes need one that was made with this version".to_owned());
        }
        about(self.map, options, notes)
    }
}

/// Tensors that are no cells: as the checkpoint stores them, but for what the user wishes.
fn others(map: &Map, client: &'static Client, options: &Options) -> Result<Vec<OtherDecision>, PlanError> {
    let inventory = map.inventory.as_deref();
    let mut others: Vec<OtherDecision> = inventory
        .map_or(&[][..], |it| &it.others)
        .iter()
        .map(|tensor| OtherDecision {
            names: tensor.names.clone(),
            role: tensor.role.clone(),
            shape: tensor.shape.clone(),
            stored: tensor.dtype.clone(),
            bytes: tensor.bytes,
        })
        .collect();
    for keep in &options.keep {
        for at in keep.others(inventory)? {
            let other = &mut others[at];
            let columns = other.shape.last().copied().unwrap_or(1);
            let rows = other.shape.iter().rev().skip(1).product();
            let wished = keep.stored.on(columns);
            let bytes = (client.bytes)(keep.stored, rows, columns);
            // `>=` and `<=` leave alone what is within them already.
            let exactly = keep.bound == crate::keep::Bound::Exactly;
            if exactly || !keep.bound.allows(other.bytes, bytes) {
                check_type(client, keep.stored)?;
                other.stored = wished.to_string();
                other.bytes = bytes;
            }
        }
    }
    Ok(others)
}

/// Whether the client has a type.
///
/// # Errors
/// [`PlanError::ClientType`], which names those it has.
pub(crate) fn check_type(client: &Client, stored: Stored) -> Result<(), PlanError> {
    if client.has(stored) {
        return Ok(());
    }
    let known = if client.types.is_empty() { "none: it stores nothing".to_owned() } else { client.types.join(", ") };
    Err(PlanError::ClientType { client: client.id.to_owned(), stored: stored.to_string(), known })
}
