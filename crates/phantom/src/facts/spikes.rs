//! A cell of noise with five strong directions.
//!
//! A spike carries so much of the cell's energy that the edge, whose scale is taken from all entries, moves up by about
//! half. The spikes are strong enough to stay clear of the moved edge, and the noise falls well below it: the count is
//! five whatever the noise, where the largest value of plain noise crosses its edge in one draw of six.

use rand_chacha::ChaCha8Rng;
use tomo_map::{CellId, Component, Map};

use super::reading::value;
use super::{Fact, Outcome, Plant};
use crate::cells::cell;
use crate::draw::{Entries, from_spectrum, gaussian};

const HERE: CellId = cell(14, Component::MlpUp);
/// Singular values, in multiples of the edge of the noise they are added to.
const SPIKES: [f64; 5] = [3.0, 2.8, 2.6, 2.4, 2.2];

pub(super) const FACT: Fact = Fact {
    id: "spikes",
    sentence: "mlp.up of layer 14 is noise with 5 directions above the Marchenko-Pastur edge",
    metrics: &["mp-excess"],
    check,
    plant: Plant::Structure { here: |id| id == HERE, draw },
};

fn draw(rng: &mut ChaCha8Rng, rows: usize, cols: usize) -> Entries {
    let edge = (rows as f64).sqrt() + (cols as f64).sqrt();
    let mut entries = gaussian(rng, rows, cols);
    let spikes = from_spectrum(rng, rows, cols, &SPIKES.map(|s| s * edge));
    entries.iter_mut().zip(spikes).for_each(|(entry, spike)| *entry += spike);
    entries
}

fn check(map: &Map) -> Result<Outcome, String> {
    let count = value(map, "mp-excess", HERE)?;
    let recovered = (count - SPIKES.len() as f64).abs() < 0.5;
    Ok(Outcome { recovered, evidence: format!("{HERE}: {count} values above the edge, {} planted", SPIKES.len()) })
}
