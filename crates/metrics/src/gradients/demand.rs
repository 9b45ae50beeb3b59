//! What the selected gradient metrics need of a reverse pass, together.

use crate::{GradientFormula, GradientReads, Kind, Selected};

/// A format whose error is to be weighed, and by what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Weighed {
    /// Id of the format, as `tomo_quant::find` knows it.
    pub(crate) format: &'static str,
    /// By the gradients of the text.
    pub(crate) by_text: bool,
    /// By the gradients of drawn labels.
    pub(crate) by_draws: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Demand {
    /// dL/dW of the whole text.
    pub(crate) whole: bool,
    pub(crate) sums: GradientReads,
    pub(crate) formats: Vec<Weighed>,
}

impl Demand {
    pub(crate) fn of(selected: &[Selected]) -> Self {
        let mut demand = Self::default();
        for selected in selected {
            let Kind::Gradients { formula } = &selected.metric.kind else { continue };
            match formula {
                GradientFormula::Whole(_) => demand.whole = true,
                GradientFormula::Sums { reads, .. } => demand.sums = demand.sums.or(*reads),
                GradientFormula::Path => {}
                GradientFormula::OutputError { format } => demand.format(format).by_text = true,
                GradientFormula::PredictedKl { format } => demand.format(format).by_draws = true,
            }
        }
        demand
    }

    fn format(&mut self, format: &'static str) -> &mut Weighed {
        let at = self.formats.iter().position(|known| known.format == format).unwrap_or_else(|| {
            self.formats.push(Weighed { format, by_text: false, by_draws: false });
            self.formats.len() - 1
        });
        &mut self.formats[at]
    }

    /// Whether gradients of the text's own loss are read.
    pub(crate) fn reads_text(&self) -> bool {
        self.whole || self.sums != GradientReads::NONE || self.formats.iter().any(|weighed| weighed.by_text)
    }

    /// Whether gradients of drawn labels are read.
    pub(crate) fn reads_draws(&self) -> bool {
        self.formats.iter().any(|weighed| weighed.by_draws)
    }

    /// Whether dL/dW is formed.
    pub(crate) fn reads_weight_gradients(&self) -> bool {
        self.whole || self.sums.squares
    }

    /// Whether sums over the rows of outputs and their gradients are formed.
    pub(crate) fn reads_rows(&self) -> bool {
        self.sums.products || self.sums.mean
    }
}
