//! From claims to sentences, one function per kind.

use tomo_map::stats::Evidence;
use tomo_map::{Component, RankedPlace, significant};

use super::between;
use super::claim::{Baseline, Claim, Contrast, Limit};
use super::escape::prose;
use super::limits::status_word;
use super::words::{column, columns, count, layers, list, number, pair, sentence};
use crate::words::capitalised;

/// The sentence (or two) that states a claim.
pub(super) fn of(claim: &Claim) -> String {
    match claim {
        Claim::Ends { highest, lowest } => ends(*highest, *lowest),
        Claim::AllEqual { value, places: 1 } => format!("The only score is {}.", number(*value)),
        Claim::AllEqual { value, places } => format!("All {places} scores are {}.", number(*value)),
        Claim::Medians { highest, lowest } => {
            let (high, low) = pair(highest.1, lowest.1);
            let (highest, lowest) = (column(highest.0), column(lowest.0));
            format!("By median, {highest} is the highest column ({high}) and {lowest} the lowest ({low}).")
        }
        Claim::Leads { component, above, first, last } => {
            let end = if *above { "highest" } else { "lowest" };
            format!("{} is the {end} column throughout {}.", column(*component), layers(*first, *last))
        }
        Claim::Contrast(contrast) => of_contrast(contrast),
        Claim::Step { component, before, after, levels, evidence } => {
            step(*component, *before, *after, *levels, evidence)
        }
        Claim::Drift { component, layers, levels, evidence } => drift(*component, *layers, *levels, evidence),
        Claim::NoChange(components) => {
            format!("No step and no steady trend passes the test in {}.", columns(components))
        }
        Claim::Flat(flat) => flat_columns(flat),
        Claim::Layer { layer, z, columns } => format!(
            "Layer {layer} stands out {}: the median robust z-score of its {columns} cells is {}.",
            side(*z),
            number(*z)
        ),
        Claim::Outlier { layer, component, value, expected, baseline, z } => {
            let (value, expected) = pair(*value, *expected);
            let side = side(*z);
            let (baseline, z) = (baseline_word(*baseline), number(*z));
            let place = place(*component, *layer);
            format!("{place} stands out {side}: {value} where {baseline} is {expected} (robust z {z}).")
        }
        Claim::MoreOutliers(more) => format!(
            "{} as far out, with smaller z-scores.",
            if *more == 1 { "1 more cell lies".to_owned() } else { format!("{more} more cells lie") }
        ),
        Claim::Total { sum, unit, cells, highest, share } => {
            let names: Vec<String> = highest.iter().map(|id| format!("`{id}`")).collect();
            let (sum, cells) = (number(*sum), count(*cells, "cell", "cells"));
            let make = if names.len() == 1 { "makes" } else { "make" };
            format!(
                "Added up over {cells} it comes to {sum} {}, what cells do to each other left out; {} {make} {} % of it.",
                prose(unit),
                list(&names),
                number(100.0 * share)
            )
        }
        Claim::Between(claim) => between::of(claim),
        Claim::Limit(limit) => of_limit(limit),
    }
}

fn place(component: Component, layer: u32) -> String {
    format!("{} in layer {layer}", column(component))
}

fn side(z: f64) -> &'static str {
    if z > 0.0 { "high" } else { "low" }
}

fn baseline_word(baseline: Baseline) -> &'static str {
    match baseline {
        Baseline::Median => "the column's median",
        Baseline::Step => "the column's level",
        Baseline::Line => "the column's trend",
    }
}

fn ends((high, sharing_high): (RankedPlace, usize), (low, sharing_low): (RankedPlace, usize)) -> String {
    let at = |end: RankedPlace, sharing: usize| match sharing {
        1 => place(end.component, end.layer),
        n => format!("in {n} places"),
    };
    let (high_text, low_text) = pair(high.value, low.value);
    let (high, low) = (at(high, sharing_high), at(low, sharing_low));
    format!("The highest score is {high_text} ({high}), the lowest {low_text} ({low}).")
}

fn of_contrast(contrast: &Contrast) -> String {
    let (high, low) = pair(contrast.medians.0, contrast.medians.1);
    format!(
        "{} lies above {} in {} of {} (Cliff's delta {}, medians {high} and {low}).",
        column(contrast.higher),
        column(contrast.lower),
        contrast.above,
        count(contrast.layers, "layer", "layers"),
        number(contrast.delta)
    )
}

fn tested(evidence: &Evidence) -> String {
    format!("R² {}, p = {}", number(evidence.explained), significant(evidence.p_corrected, 2))
}

fn step(
    component: Component,
    before: (u32, u32),
    after: (u32, u32),
    (low, high): (f64, f64),
    evidence: &Evidence,
) -> String {
    let verb = if high > low { "rises" } else { "falls" };
    let (from, to) = pair(low, high);
    format!(
        "{} {verb} after layer {}: the mean is {from} in {} and {to} in {} ({}).",
        column(component),
        before.1,
        layers(before.0, before.1),
        layers(after.0, after.1),
        tested(evidence)
    )
}

fn drift(component: Component, at: (u32, u32), (start, end): (f64, f64), evidence: &Evidence) -> String {
    let verb = if end > start { "rises" } else { "falls" };
    let (from, to) = pair(start, end);
    format!(
        "{} {verb} steadily with depth: the fitted line goes from {from} in layer {} to {to} in layer {} ({}).",
        column(component),
        at.0,
        at.1,
        tested(evidence)
    )
}

fn flat_columns(flat: &[(Component, f64)]) -> String {
    let named: Vec<_> = flat.iter().map(|(c, value)| format!("{} ({})", column(*c), number(*value))).collect();
    let verb = if flat.len() == 1 { "has" } else { "have" };
    format!("{} {verb} the same score in every layer.", list(&named))
}

fn of_limit(limit: &Limit) -> String {
    match limit {
        Limit::ColumnScope => {
            "Its scores depend on a matrix's shape, so columns must not be compared with each other, \
            and nothing here does."
                .to_owned()
        }
        Limit::Proxy => "It is a proxy: what happens to the model's loss was not measured.".to_owned(),
        Limit::NoColumn(component, reason) => {
            format!("There is no {}: {}", column(*component), sentence(&prose(reason)))
        }
        Limit::Unscored { cells, of, status, reason } => {
            let verb = if *cells == 1 { "has" } else { "have" };
            let why = if reason.trim().is_empty() { "no reason was given".to_owned() } else { prose(reason) };
            format!(
                "{cells} of {} {verb} no score ({}): {}",
                count(*of, "cell", "cells"),
                status_word(*status),
                sentence(&why)
            )
        }
        Limit::Care { cells, of, reason } => {
            let verb = if *cells == 1 { "has" } else { "have" };
            let share = number(100.0 * *cells as f64 / *of as f64);
            format!(
                "{cells} of {} ({share} %) {verb} a score to be read with care: {}",
                count(*of, "scored cell", "scored cells"),
                sentence(&prose(reason))
            )
        }
        Limit::UnscoredOtherwise(cells) => {
            let verb = if *cells == 1 { "has" } else { "have" };
            format!("{} {verb} no score for other reasons; `map.csv` gives them.", count(*cells, "cell", "cells"))
        }
        Limit::Experts { columns: named, most, left_out } => {
            let mean = if named.len() == 1 { "shows the mean" } else { "show the mean" };
            let up_to = count(*most as usize, "expert", "experts");
            let rest = match left_out {
                0 => String::new(),
                1 => " 1 expert without a score is left out of it.".to_owned(),
                n => format!(" {n} experts without a score are left out of it."),
            };
            format!("{} {mean} over the experts of a layer (up to {up_to}); `map.csv` has each.{rest}", columns(named))
        }
        Limit::Exact => {
            "There are no intervals: the scores are computed from the weights, not from a sample.".to_owned()
        }
        Limit::NoIntervals => "There are no intervals, so how far a score depends on the text is not known.".to_owned(),
        Limit::Intervals { cells, of } => {
            let verb = if *cells == 1 { "has" } else { "have" };
            let of = count(*of, "cell", "cells");
            format!("{cells} of {of} {verb} a 95 % interval; the statements above use the scores alone.")
        }
        Limit::FewLayers(n) => {
            let n = count(*n as usize, "layer", "layers");
            format!("With {n}, steps, trends and outliers were not looked for: that takes at least 8.")
        }
        Limit::ShortColumns(short) => {
            let verb = if short.len() == 1 { "has" } else { "have" };
            format!(
                "{} {verb} a score in fewer than 8 layers, too few to look for steps, trends and outliers.",
                columns(short)
            )
        }
        Limit::Nothing => "No cell has a score, so there is nothing to say.".to_owned(),
        Limit::Raced(raced) => capitalised(&sentence(&raced.sentence())),
        Limit::SelfAgreement(agreement) => capitalised(&sentence(&agreement.sentence())),
        Limit::Caveat(text) => sentence(&prose(text)),
    }
}
