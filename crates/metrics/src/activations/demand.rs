//! What the selected metrics need of a pass, together.

use tomo_model::engine::{Port, Tap};

use super::sweep::InputDemand;
use crate::{Form, Formula, Kind, Selected};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Demand {
    /// Sums over inputs, and which.
    pub(crate) inputs: Option<InputDemand>,
    pub(crate) outputs: bool,
    pub(crate) gains: bool,
    pub(crate) writes: bool,
    pub(crate) blocks: bool,
    pub(crate) routing: bool,
    /// Sums over the weights' columns, or their norm.
    pub(crate) weights: bool,
    pub(crate) outliers: bool,
    pub(crate) salience: bool,
    /// Order statistics of the inputs' columns.
    pub(crate) input_order: bool,
    /// Formats of errors to weigh.
    pub(crate) errors: usize,
}

impl Demand {
    pub(crate) fn of(selected: &[Selected]) -> Self {
        let mut demand = Self::default();
        for selected in selected.iter().filter(|s| s.reads_activations()) {
            match &selected.metric.kind {
                Kind::Activations { reads, formula, .. } => {
                    if reads.inputs || reads.moments || reads.gains {
                        let inputs = demand.inputs.get_or_insert_default();
                        inputs.moments |= reads.moments;
                        inputs.norms |= reads.gains;
                        inputs.columns |= !matches!(formula, Formula::Sums(_));
                    }
                    demand.outputs |= reads.outputs;
                    demand.gains |= reads.gains;
                    demand.writes |= reads.writes;
                    demand.blocks |= reads.blocks;
                    demand.routing |= reads.routing;
                    demand.weights |= reads.norm;
                    demand.input_order |= matches!(formula, Formula::Energies { .. });
                    demand.salience |= matches!(formula, Formula::Salience(_));
                    demand.outliers |= reads.outliers;
                }
                Kind::Error { .. } if selected.form == Form::Weighted => {
                    demand.inputs.get_or_insert_default().columns = true;
                    demand.errors += 1;
                }
                _ => {}
            }
        }
        demand.weights |= demand.salience || demand.errors > 0;
        demand
    }

    /// Whether a pass has to hand out `tap`.
    pub(crate) fn wants(&self, tap: Tap) -> bool {
        match tap {
            // The rows routed to an expert say how many there are.
            Tap::Input(Port::Mlp) if self.routing => true,
            Tap::Input(_) => self.inputs.is_some(),
            Tap::Output(_) => self.outputs || self.gains,
            Tap::AttentionAdd | Tap::MlpAdd => self.writes,
            Tap::ResidualOut => self.blocks,
            Tap::ResidualIn | Tap::Routing | Tap::FinalHidden => false,
        }
    }

    /// Whether the sums of a layer wait for its weights. Sums by column do even where no weight is looked at: the weights
    /// come when the layer is over, and then the sums can go.
    pub(crate) fn waits_for_weights(&self) -> bool {
        self.weights || self.inputs.is_some_and(|inputs| inputs.columns || inputs.norms)
    }

    /// The sweep over inputs that serves everybody; at least the number of rows is counted.
    pub(crate) fn sweep(&self) -> InputDemand {
        self.inputs.unwrap_or_default()
    }
}
