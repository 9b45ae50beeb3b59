use tomo_map::RankCorrelation;

use super::Change;
use crate::report::escape::code;
use crate::report::section::change_in_short;
use crate::report::sentence::of as sentence_of;
use crate::report::words::{column, columns, count, list, number};

/// From this share of the weights up a change is called uniform.
const UNIFORM: f64 = 0.8;
/// Up to this share it is called concentrated.
const CONCENTRATED: f64 = 0.5;
/// From this share of a random matrix's effective rank up a change is said to have none of low rank.
const AS_RANDOM: f64 = 0.9;
/// Up to this share it is called low.
const LOW: f64 = 0.5;

/// The sentence (or two) that states a claim.
pub(super) fn of(claim: &Change) -> String {
    match claim {
        Change::Untouched { cells, of, columns: whole } => {
            let of = count(*of, "cell", "cells");
            let did = if *cells == 1 { "is" } else { "are" };
            let among =
                if whole.is_empty() { String::new() } else { format!(", among them all of {}", columns(whole)) };
            format!("{cells} of {of} {did} unchanged{among}.")
        }
        Change::Spread { cells, even_over } => {
            let word = if *even_over >= UNIFORM {
                "is uniform"
            } else if *even_over <= CONCENTRATED {
                "is concentrated"
            } else {
                "is neither uniform nor concentrated"
            };
            format!(
                "The change {word}: a change of {} % of the weights, even over them, would be as uneven ({}).",
                percent(*even_over),
                count(*cells, "cell", "cells")
            )
        }
        Change::Most { cells, change, weights } => format!(
            "The {} with most change per weight {} {} % of the change and {} % of the weights.",
            count(*cells, "cell", "cells"),
            if *cells == 1 { "holds" } else { "hold" },
            percent(*change),
            percent(*weights)
        ),
        Change::Scaled { share, columns } => {
            let mut text = format!("Rescaling makes {} % of the change; the rest turns the matrices.", percent(*share));
            if !columns.is_empty() {
                let named: Vec<String> =
                    columns.iter().map(|(c, share)| format!("{} ({} %)", column(*c), percent(*share))).collect();
                text.push_str(&format!(" It makes half or more in {}.", list(&named)));
            }
            text
        }
        Change::Misleads { relative, direction } => format!(
            "By `delta-relative` {} changed most, by `delta-direction` {}: the first counts rescaling as change.",
            column(*relative),
            column(*direction)
        ),
        Change::Rank { full, low, of } => format!(
            "The change has full numerical rank in {full} of {}, and at most a quarter of it in {low}.",
            count(*of, "changed cell", "changed cells")
        ),
        Change::EffectiveRank { median, range, cells } => {
            let word = if *median >= AS_RANDOM {
                "not low-rank"
            } else if *median <= LOW {
                "low-rank"
            } else {
                "of somewhat low rank"
            };
            format!(
                "It is {word}: its effective rank is {} of a random matrix's of the same shape in the median of {} ({} to {}).",
                number(*median),
                count(*cells, "cell", "cells"),
                number(range.0),
                number(range.1)
            )
        }
        Change::Size { metric, order } => size(metric, order),
        Change::Absorbs => {
            "The checkpoints store bf16, which keeps an update only where it is larger than |w| / 512 to \
                            |w| / 256: the same update changes more of the small weights than of the large ones, so a \
                            density speaks of 1 / rms before it speaks of training."
                .to_owned()
        }
        Change::By { metric, claim } => format!("By {}: {}", code(metric), sentence_of(claim)),
        Change::Depth { metric, changes } => {
            let changes: Vec<String> = changes.iter().filter_map(change_in_short).collect();
            format!("Along depth, by {}: {}.", code(metric), changes.join("; "))
        }
    }
}

fn size(metric: &str, order: &RankCorrelation) -> String {
    let interval = order
        .interval
        .map_or(String::new(), |(low, high)| format!(", 95 % interval {} to {}", number(low), number(high)));
    let cells = count(order.cells, "cell", "cells");
    let sure = order.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
    let metric = code(metric);
    let rho = number(order.rho);
    match (sure, order.rho > 0.0) {
        (false, _) => {
            format!("{metric} does not surely follow 1 / `base-rms`: rank correlation {rho} over {cells}{interval}.")
        }
        (true, true) => format!(
            "{metric} follows 1 / `base-rms`: rank correlation {rho} over {cells}{interval}; that alone explains {} % of its ranks.",
            percent(order.rho * order.rho)
        ),
        (true, false) => {
            format!("{metric} runs against 1 / `base-rms`: rank correlation {rho} over {cells}{interval}.")
        }
    }
}

fn percent(share: f64) -> String {
    number(100.0 * share)
}
