//! Collects an imatrix while a model runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tomo_model::Model;
use tomo_model::engine::{CellWeights, Observer, Port, Seen, Tap};

use super::names::{ImatrixName, imatrix_names};
use super::{Imatrix, ImatrixEntry};
use crate::activations::{InputDemand, InputSweep, inputs};

/// Name of the output head's entry.
const OUTPUT: &str = "output.weight";

/// Where inputs are summed: a port of a layer, of one expert in a mixture; no port for the output head.
type Site = (u32, Option<Port>, Option<u32>);

/// Collects the sums of an imatrix over a pass: an [`Observer`] of it.
///
/// One entry for every tensor that holds cells, under its GGUF name (see [`imatrix_names`]): the stack of a mixture's experts
/// is one entry with a matrix per expert, a tensor that holds several cells (fused q, k, v) is one entry. Sums are kept by
/// sequence until a layer is over and then added up in the order of the sequences' numbers, in f64.
#[derive(Debug)]
pub struct ImatrixObserver {
    names: Vec<Option<ImatrixName>>,
    /// Of each cell, parallel to the names.
    cells: Vec<(Site, usize)>,
    lengths: Vec<usize>,
    head: Option<(u32, usize)>,
    signed: bool,
    sums: Mutex<BTreeMap<Site, Sums>>,
}

#[derive(Debug)]
enum Sums {
    /// By sequence, while they come in.
    Open(Vec<Option<InputSweep>>),
    /// Added up.
    Folded(InputSweep),
}

impl ImatrixObserver {
    /// Ready to watch a pass of `model` over sequences of these lengths. `output` asks for an entry of the output head,
    /// `signed` for sums of x beside those of x^2 (`.in_sum`, which llama.cpp's programs pass over).
    pub fn new(model: &Model, sequence_lengths: &[usize], output: bool, signed: bool) -> Self {
        let site = |cell: &tomo_model::CellSource| (cell.id.layer, Some(Port::of(cell.id.component)), cell.id.expert);
        let cols = |cell: &tomo_model::CellSource| usize::try_from(cell.in_features).unwrap_or(usize::MAX);
        let hidden = model.dims().hidden.and_then(|width| usize::try_from(width).ok());
        Self {
            names: imatrix_names(model).into_iter().map(|names| names.into_iter().next()).collect(),
            cells: model.cells().iter().map(|cell| (site(cell), cols(cell))).collect(),
            lengths: sequence_lengths.to_vec(),
            head: hidden.filter(|_| output).map(|width| (model.grid().layers, width)),
            signed,
            sums: Mutex::default(),
        }
    }

    /// Cells for which no GGUF name is known: they are not in the imatrix.
    pub fn unnamed(&self) -> usize {
        self.names.iter().filter(|name| name.is_none()).count()
    }

    /// Bytes that the sums of all layers take when the pass is over, and those of one layer's sequences on top.
    pub fn memory_bytes(&self) -> u64 {
        let per_column = if self.signed { 16 } else { 8 };
        let (mut all, mut by_layer) = (0, BTreeMap::new());
        let sites: BTreeMap<Site, usize> = self.cells.iter().copied().collect();
        for ((layer, ..), cols) in sites {
            let bytes = per_column * cols as u64;
            all += bytes;
            *by_layer.entry(layer).or_insert(0) += bytes * self.lengths.len() as u64;
        }
        all + by_layer.values().copied().max().unwrap_or(0)
    }

    /// The imatrix. `datasets` name the text; `chunk_size` is the number of tokens of a full sequence.
    ///
    /// Experts that no token was sent to have a count of 0.
    pub fn finish(self, datasets: Vec<String>, chunk_size: u32) -> Imatrix {
        let sums = self.sums.into_inner().unwrap_or_else(PoisonError::into_inner);
        let folded: BTreeMap<Site, InputSweep> = sums.into_iter().map(|(site, sums)| (site, sums.folded())).collect();
        let mut entries: BTreeMap<String, ImatrixEntry> = BTreeMap::new();
        for (name, (site, cols)) in self.names.iter().zip(&self.cells) {
            let Some(name) = name else { continue };
            let seen = folded.get(site);
            let entry = entries.entry(name.tensor.clone()).or_default();
            entry.put(name.matrix, name.matrices, *cols, seen, self.signed);
        }
        if let Some((layer, cols)) = self.head {
            let seen = folded.get(&(layer, None, None));
            entries.entry(OUTPUT.to_owned()).or_default().put(0, 1, cols, seen, self.signed);
        }
        // A tensor that nothing was seen of has no place in the file.
        entries.retain(|_, entry| entry.counts.iter().any(|count| *count > 0));
        let tokens: u64 = self.lengths.iter().map(|length| *length as u64).sum();
        let chunks = tokens.checked_div(u64::from(chunk_size)).unwrap_or(0).max(1);
        Imatrix { entries, datasets, chunk_count: u32::try_from(chunks).unwrap_or(u32::MAX), chunk_size }
    }

    fn site_of(&self, seen: &Seen<'_>) -> Option<Site> {
        match seen.tap {
            Tap::Input(port) => Some((seen.layer, Some(port), seen.expert)),
            Tap::FinalHidden => self.head.map(|(layer, _)| (layer, None, None)),
            _ => None,
        }
    }
}

impl ImatrixEntry {
    /// Fills in one matrix of `matrices`.
    fn put(&mut self, matrix: usize, matrices: usize, cols: usize, seen: Option<&InputSweep>, signed: bool) {
        self.in_sum2.resize(matrices * cols, 0.0);
        self.counts.resize(matrices, 0);
        if signed {
            self.in_sum.get_or_insert_default().resize(matrices * cols, 0.0);
        }
        let Some(seen) = seen.filter(|seen| seen.columns2.len() == cols && matrix < matrices) else { return };
        self.counts[matrix] = seen.tokens as u64;
        let place = matrix * cols..(matrix + 1) * cols;
        self.in_sum2[place.clone()].copy_from_slice(&seen.columns2);
        if let Some(sum) = self.in_sum.as_mut().filter(|_| seen.columns.len() == cols) {
            sum[place].copy_from_slice(&seen.columns);
        }
    }
}

impl Sums {
    fn folded(self) -> InputSweep {
        let by_sequence = match self {
            Self::Folded(sums) => return sums,
            Self::Open(by_sequence) => by_sequence,
        };
        let mut all = InputSweep::default();
        for one in by_sequence.into_iter().flatten() {
            all.tokens += one.tokens;
            for (sum, part) in [(&mut all.columns2, one.columns2), (&mut all.columns, one.columns)] {
                sum.resize(part.len(), 0.0);
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
        all
    }
}

impl Observer for ImatrixObserver {
    fn wants(&self, tap: Tap) -> bool {
        match tap {
            Tap::Input(_) => true,
            Tap::FinalHidden => self.head.is_some(),
            _ => false,
        }
    }

    fn see(&self, seen: &Seen<'_>) {
        let Some(site) = self.site_of(seen).filter(|_| seen.sequence < self.lengths.len()) else { return };
        let demand = InputDemand { columns: true, signed: self.signed, ..InputDemand::default() };
        let sweep = inputs(seen.rows, demand);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || Sums::Open(vec![None; self.lengths.len()]);
        if let Sums::Open(by_sequence) = sums.entry(site).or_insert_with(open) {
            by_sequence[seen.sequence] = Some(sweep);
        }
    }

    /// Weights are not looked at: they come when a layer's taps are over.
    fn wants_weights(&self) -> bool {
        true
    }

    fn weigh(&self, weights: &CellWeights<'_>) {
        let Some((site, _)) = self.cells.get(weights.cell) else { return };
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = sums.get_mut(site)
            && let Sums::Open(by_sequence) = found
        {
            let taken = Sums::Open(std::mem::take(by_sequence));
            *found = Sums::Folded(taken.folded());
        }
    }
}
