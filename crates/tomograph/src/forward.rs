//! The forward pass of a scan, and who watches it.

use std::sync::Arc;

use tomo_map::Column;
use tomo_metrics::{Activations, OwnMetric, OwnTaps, Selected, Share};
use tomo_model::Model;
use tomo_model::engine::{MemoryPlan, Observer, PassProgress};

use crate::run::Run;
use crate::scan::{Request, Watcher};

/// A forward pass with everything decided.
pub(crate) struct Forward {
    activations: Activations,
    /// Metrics of the user's.
    own: Option<OwnTaps>,
    plan: MemoryPlan,
    /// Of a part of a scan, what it runs.
    share: Option<Share>,
}

/// What a forward pass leaves.
pub(crate) struct Passed {
    /// One column per metric, the user's last.
    pub(crate) columns: Vec<Column>,
    /// Of a part of a scan, what it knows.
    pub(crate) state: Option<Vec<u8>>,
    /// Whether it ran to its end.
    pub(crate) completed: bool,
}

impl Forward {
    /// The pass that metrics of `selected` and those of the user's need; `None` where none needs one.
    ///
    /// # Errors
    /// More memory than it may take.
    pub(crate) fn new(
        model: &Model,
        selected: &[Selected],
        request: &Request,
        run: &Run,
        share: Option<&Share>,
    ) -> anyhow::Result<Option<Self>> {
        let reads = |s: &&Selected| s.reads_activations() && request.imatrix.is_none();
        let selected: Vec<Selected> = selected.iter().filter(reads).copied().collect();
        let own = OwnTaps::new(model, &request.own, &request.options, &run.lengths());
        if selected.is_empty() && own.is_none() {
            return Ok(None);
        }
        let mut activations = Activations::new(model, &selected, &request.options, &run.lengths());
        if let Some(share) = share {
            activations = activations.of(share.clone());
        }
        let bytes = activations.memory_bytes(run.engine.threads()) + own.as_ref().map_or(0, OwnTaps::memory_bytes);
        let plan = run.plan_share(share, &observers(&activations, own.as_ref()), bytes, activations.until())?;
        Ok(Some(Self { activations, own, plan, share: share.cloned() }))
    }

    /// What it takes.
    pub(crate) fn plan(&self) -> &MemoryPlan {
        &self.plan
    }

    /// Runs it.
    ///
    /// # Errors
    /// When the model cannot be run, or a metric of the user's fails. A cancelled pass is not an error.
    pub(crate) fn run(self, run: &Run, progress: &dyn Watcher) -> anyhow::Result<Passed> {
        let Self { activations, own, plan, share } = self;
        let progress = UntilFailure { progress, own: own.as_ref() };
        let sequences = run.sequences(share.as_ref());
        let watching = observers(&activations, own.as_ref());
        let outcome = run.engine.forward(&sequences, &watching, &plan, activations.until(), &progress)?;
        let state = if share.is_some() { Some(activations.state()?) } else { None };
        let mut columns = activations.finish();
        if let Some(own) = own {
            columns.extend(own.finish(outcome.completed)?);
        }
        Ok(Passed { columns, state, completed: outcome.completed })
    }
}

/// Whether one of the user's metrics needs a pass over a text.
pub(crate) fn own_read_taps(request: &Request) -> bool {
    request.own.iter().map(Arc::as_ref).any(OwnMetric::reads_taps)
}

fn observers<'a>(activations: &'a Activations, own: Option<&'a OwnTaps>) -> Vec<&'a dyn Observer> {
    let activations = (!activations.is_empty()).then_some(activations as &dyn Observer);
    activations.into_iter().chain(own.map(|own| own as &dyn Observer)).collect()
}

/// The progress of a pass that ends when a metric of the user's has failed.
struct UntilFailure<'a> {
    progress: &'a dyn Watcher,
    own: Option<&'a OwnTaps>,
}

impl PassProgress for UntilFailure<'_> {
    fn start(&self, steps: usize) {
        PassProgress::start(self.progress, steps);
    }

    fn step(&self, layer: u32) {
        self.progress.step(layer);
    }

    fn is_cancelled(&self) -> bool {
        PassProgress::is_cancelled(self.progress) || self.own.is_some_and(OwnTaps::has_failed)
    }
}
