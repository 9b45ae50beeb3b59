//! Statistics of an imatrix, as `llama-imatrix --show-statistics` prints them since 2025 (pull request 12718; the generation
//! of llama.cpp 0c1e570). Later drafts of that program print others under the same names.

use super::{Imatrix, ImatrixEntry};

/// Mean squares at or below it count as inactive.
const INACTIVE: f64 = 1e-5;

/// All of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ImatrixStatistics {
    /// By kind of tensor, within a kind the largest sum first.
    pub tensors: Vec<TensorStatistics>,
    /// By layer; tensors that belong to none are left out.
    pub layers: Vec<LayerStatistics>,
}

/// What one entry's mean squares look like. Matrices without tokens are left out.
#[derive(Clone, PartialEq, Debug)]
pub struct TensorStatistics {
    /// GGUF name.
    pub name: String,
    /// The number behind `blk.`.
    pub layer: Option<u32>,
    /// `attn_q`.
    pub kind: String,
    /// Sum of the mean squares, `Σ(Act²)`.
    pub total: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Mean, `μ`.
    pub mean: f64,
    /// Standard deviation, `σ`.
    pub sd: f64,
    /// Share above 1e-5, `% Active` / 100.
    pub active: f64,
    /// Number of mean squares, `N`.
    pub elements: usize,
    /// Entropy of their shares in the sum, in bits.
    pub entropy: f64,
    /// The same, relative to its maximum log2 N, `E (norm)` / 100; 0 for a single element.
    pub entropy_relative: f64,
    /// Share more than one standard deviation above the mean, `ZD` / 100.
    pub far: f64,
    /// Cosine with the sums of the same tensor one layer below; 0 without.
    pub cosine: f64,
}

/// Means over a layer's tensors, weighted by their elements.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LayerStatistics {
    /// Which layer.
    pub layer: u32,
    /// Of the sums, `μΣ(Act²)`.
    pub total: f64,
    /// `μZD` / 100.
    pub far: f64,
    /// `μCosSim`.
    pub cosine: f64,
}

impl Imatrix {
    /// Its statistics.
    pub fn statistics(&self) -> ImatrixStatistics {
        let of = |(name, entry): (&String, &ImatrixEntry)| self.tensor_statistics(name, entry);
        let mut tensors: Vec<TensorStatistics> = self.entries.iter().filter_map(of).collect();
        tensors.sort_by(|a, b| a.kind.cmp(&b.kind).then(b.total.total_cmp(&a.total)).then(a.name.cmp(&b.name)));
        let mut numbers: Vec<u32> = tensors.iter().filter_map(|t| t.layer).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let layers = numbers.into_iter().map(|layer| layer_statistics(layer, &tensors)).collect();
        ImatrixStatistics { tensors, layers }
    }

    fn tensor_statistics(&self, name: &str, entry: &ImatrixEntry) -> Option<TensorStatistics> {
        let per_matrix = entry.in_sum2.len().checked_div(entry.counts.len())?.max(1);
        let known = entry.in_sum2.chunks(per_matrix).zip(&entry.counts).filter(|(_, count)| **count > 0);
        let values: Vec<f64> =
            known.flat_map(|(sums, count)| sums.iter().map(move |sum| sum / *count as f64)).collect();
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let total: f64 = values.iter().sum();
        let mean = total / count;
        let sd = (values.iter().map(|v| v * v).sum::<f64>() / count - mean * mean).max(0.0).sqrt();
        let share = |is: &dyn Fn(f64) -> bool| values.iter().filter(|v| is(**v)).count() as f64 / count;
        let shares = values.iter().map(|v| v / total).filter(|p| *p > 0.0);
        let entropy = if total > 0.0 { -shares.map(|p| p * p.log2()).sum::<f64>() } else { 0.0 };
        let (layer, kind) = layer_and_kind(name);
        Some(TensorStatistics {
            name: name.to_owned(),
            layer,
            kind,
            total,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(0.0, f64::max),
            mean,
            sd,
            active: share(&|v| v > INACTIVE),
            elements: values.len(),
            entropy,
            entropy_relative: if values.len() > 1 { entropy / count.log2() } else { 0.0 },
            far: if sd > 0.0 { share(&|v| (v - mean) / sd > 1.0) } else { 0.0 },
            cosine: self.cosine_with_layer_below(name, layer, entry),
        })
    }

    fn cosine_with_layer_below(&self, name: &str, layer: Option<u32>, entry: &ImatrixEntry) -> f64 {
        let below = layer.and_then(|layer| layer.checked_sub(1).map(|below| (layer, below)));
        let Some((layer, below)) = below else { return 0.0 };
        let other = name.replacen(&format!("blk.{layer}."), &format!("blk.{below}."), 1);
        let Some(other) = self.entries.get(&other).filter(|other| other.in_sum2.len() == entry.in_sum2.len()) else {
            return 0.0;
        };
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (a, b) = (&entry.in_sum2, &other.in_sum2);
        let cosine = product(a, b) / (product(a, a).sqrt() * product(b, b).sqrt());
        if cosine.is_finite() { cosine } else { 0.0 }
    }
}

fn layer_statistics(layer: u32, tensors: &[TensorStatistics]) -> LayerStatistics {
    let here = || tensors.iter().filter(|t| t.layer == Some(layer));
    let elements: f64 = here().map(|t| t.elements as f64).sum();
    let mean = |of: fn(&TensorStatistics) -> f64| here().map(|t| t.elements as f64 * of(t)).sum::<f64>() / elements;
    LayerStatistics { layer, total: mean(|t| t.total), far: mean(|t| t.far), cosine: mean(|t| t.cosine) }
}

/// `blk.7.attn_q.weight` is `attn_q` of layer 7.
fn layer_and_kind(name: &str) -> (Option<u32>, String) {
    let parts: Vec<&str> = name.split('.').collect();
    let layer = parts.iter().position(|part| *part == "blk").and_then(|at| parts.get(at + 1)?.parse().ok());
    let kind = parts.iter().position(|part| *part == "weight").filter(|at| *at > 0).map(|at| parts[at - 1]);
    (layer, kind.unwrap_or(name).to_owned())
}
