//! What the second order leaves out, and from where on that is too much.
//!
//! Terms of third order and above are in no draw. Their size was measured once: SmolLM2-135M, integers of 4, 3 and 2 bits in
//! groups of 64, 630 predictions of 96 draws beside the KL that transformers gives, the noise of the draws taken off. The
//! variance of `ln(measured / predicted)` grows with the prediction, as it does where the next term of a series is in
//! proportion to the change; it grows twenty times faster for queries and keys, whose change goes through a softmax. Other
//! models are taken to be alike.

use tomo_map::Component;

/// Standard deviation that is left however small the change.
const FLOOR: f64 = 0.03;
/// Growth of the variance per nat: queries and keys, and the other cells.
const GROWTH: (f64, f64) = (5.0, 0.25);
/// Standard deviation from which on a prediction is not taken for second-order: off by a third or more one time in three.
const MOST: f64 = 0.3;

fn growth(component: Component) -> f64 {
    match component {
        Component::AttnQ | Component::AttnK => GROWTH.0,
        _ => GROWTH.1,
    }
}

/// Standard deviation of `ln(measured / predicted)` that would be left with unlimited draws, for a cell of which `nats` per
/// token are predicted.
pub fn truncation_sd(component: Component, nats: f64) -> f64 {
    (FLOOR * FLOOR + growth(component) * nats.max(0.0)).sqrt()
}

/// Largest predicted KL, in nats per token, that is taken for second-order: 0.018 for queries and keys, 0.36 for others.
pub fn most_nats(component: Component) -> f64 {
    (MOST * MOST - FLOOR * FLOOR) / growth(component)
}
