//! What a scan will take, before it is begun.

use std::time::Instant;

use faer::Par;
use tomo_model::Model;

use crate::schedule::{Load, Schedule};
use crate::spectrum::{Workspace, gram_only, singular_values};
use crate::{Matrix, Request};

/// An estimate of what a scan takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cost {
    /// Bytes of checkpoint that are read.
    pub bytes_read: u64,
    /// The most memory that cells in flight take together; the program itself and the map come on top.
    pub peak_bytes: u64,
    /// Wall time: flops and bytes, over what this machine did in a short measurement just now. Good to a factor of
    /// two; a cold disk is not in it.
    pub seconds: f64,
}

/// Seconds per weight for decoding and looking for what is not finite.
const DECODE: f64 = 1.0e-9;
/// Seconds per weight for the power sums.
const MOMENTS: f64 = 0.5e-9;
/// Seconds per weight for the two medians of the robust deviation.
const ROBUST_SD: f64 = 1.5e-9;
/// Seconds per weight and metric for metrics with a sweep of their own, such as the quantization errors.
const SWEEP: f64 = 3.0e-9;
/// Order of the matrix that is decomposed to measure the machine: some milliseconds.
const PROBE_ORDER: usize = 256;

/// Estimates what [`scan`](crate::scan) would take for the same arguments; what a pass over a text adds is in
/// [`activations_cost`](crate::activations_cost). Takes some milliseconds, to measure this machine.
pub fn cost(model: &Model, request: &Request) -> Cost {
    let request = &request.of_weights();
    if request.metrics.is_empty() {
        return Cost { bytes_read: 0, peak_bytes: 0, seconds: 0.0 };
    }
    let schedule = Schedule::new(model, request);
    let rates = if schedule.demand.needs.spectrum { Rates::measured() } else { Rates::NONE };
    let seconds = |load: &Load| {
        let needs = schedule.demand.needs;
        let numel = load.numel() as f64;
        let linear = DECODE
            + if needs.moments { MOMENTS } else { 0.0 }
            + if needs.robust_sd { ROBUST_SD } else { 0.0 }
            + SWEEP * schedule.demand.sweeps as f64;
        let spectrum = if needs.spectrum { rates.seconds(load.short as f64, load.long as f64) } else { 0.0 };
        linear * numel + spectrum
    };
    let total: f64 = schedule.wanted().map(seconds).sum();
    Cost {
        bytes_read: schedule.bytes(),
        peak_bytes: schedule.peak_working_bytes(),
        seconds: total / schedule.threads as f64,
    }
}

/// What one core does per second, in floating-point operations.
struct Rates {
    /// Symmetric product, `long * short^2` operations.
    product: f64,
    /// Reduction and eigenvalues, `4/3 short^3` operations.
    reduction: f64,
}

impl Rates {
    const NONE: Self = Self { product: f64::INFINITY, reduction: f64::INFINITY };

    fn measured() -> Self {
        let order = PROBE_ORDER as f64;
        // Any numbers will do that are not special.
        let values: Vec<f32> =
            (0..PROBE_ORDER * PROBE_ORDER).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect();
        let matrix = Matrix { rows: PROBE_ORDER, cols: PROBE_ORDER, values: &values };
        let mut workspace = Workspace::default();
        let product = fastest(|| gram_only(matrix, &mut workspace, Par::Seq));
        let whole = fastest(|| drop(singular_values(matrix, &mut workspace, 1)));
        Self {
            product: order.powi(3) / product,
            reduction: 4.0 / 3.0 * order.powi(3) / (whole - product).max(product / 10.0),
        }
    }

    fn seconds(&self, short: f64, long: f64) -> f64 {
        long * short * short / self.product + 4.0 / 3.0 * short.powi(3) / self.reduction
    }
}

/// Seconds of the fastest of three runs after one that warms up.
fn fastest(mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let clock = Instant::now();
        run();
        clock.elapsed().as_secs_f64()
    };
    (0..4).map(time).skip(1).fold(f64::INFINITY, f64::min).max(1e-9)
}
