//! A cell with one very large entry in every row, so that no group of a quantizer is spared.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tomo_map::{CellId, Component, Map};

use super::reading::{column_median, value};
use super::{Fact, Outcome, Plant};
use crate::cells::cell;
use crate::draw::{Entries, gaussian};

const HERE: CellId = cell(2, Component::MlpDown);
/// Size of an outlier in standard deviations of the other entries.
const SIZE: f64 = 14.0;

pub(super) const FACT: Fact = Fact {
    id: "outliers",
    sentence: "mlp.down of layer 2 has an outlier in every row: many entries far out, and the largest 4-bit error of its column",
    metrics: &["outlier-share", "err-int4"],
    check,
    plant: Plant::Structure { here: |id| id == HERE, draw },
};

fn draw(rng: &mut ChaCha8Rng, rows: usize, cols: usize) -> Entries {
    let mut entries = gaussian(rng, rows, cols);
    for row in entries.chunks_exact_mut(cols) {
        let sign = if rng.random::<bool>() { SIZE } else { -SIZE };
        row[rng.random_range(0..cols)] = sign;
    }
    entries
}

fn check(map: &Map) -> Result<Outcome, String> {
    let share = value(map, "outlier-share", HERE)?;
    let usual_share = column_median(map, "outlier-share", HERE.component, HERE.layer)?;
    let error = value(map, "err-int4", HERE)?;
    let usual_error = column_median(map, "err-int4", HERE.component, HERE.layer)?;
    let recovered = share > 2.0 * usual_share && share > 0.0 && error > 1.5 * usual_error;
    let evidence = format!(
        "{HERE}: outlier share {share:.5} against {usual_share:.5}, 4-bit error {error:.4} against {usual_error:.4} (column medians)"
    );
    Ok(Outcome { recovered, evidence })
}
