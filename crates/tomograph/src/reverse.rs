//! The part of a scan that goes backward: which passes it makes, what they take, what they leave.

use std::path::{Path, PathBuf};

use tomo_map::Column;
use tomo_metrics::{GradientFormula, Gradients, IntegratedGradients, Kind, Options, Selected, Share};
use tomo_model::Model;
use tomo_model::engine::{GradientObserver, Input, Objective, PassProgress, Resume, ReversePlan};

use crate::draws_file::KeptDraws;
use crate::run::Run;

/// Squares of drawn numbers that a cell's estimate is made of, unless a number of draws is given: with 96 the interval of a
/// cell is some 10 % wide either way.
const SQUARES: usize = 96;
/// Fewest draws that are chosen: the noise is estimated from how they differ.
const FEWEST_DRAWS: usize = 4;

/// Draws for so many sequences, where none were asked for.
pub(crate) fn default_draws(sequences: usize) -> usize {
    SQUARES.div_ceil(sequences.max(1)).max(FEWEST_DRAWS)
}

/// What a reverse pass is for, and what it takes.
#[derive(Clone, Debug)]
pub struct PlannedPass {
    /// In words: `loss of the text and 24 draws`.
    pub purpose: String,
    /// Sequences that are run.
    pub sequences: usize,
    /// What the engine says.
    pub plan: ReversePlan,
}

/// The reverse passes of a scan.
pub(crate) struct ReversePasses {
    gradients: Option<(Gradients, PlannedPass)>,
    path: Option<(IntegratedGradients, PlannedPass)>,
    /// Columns that need no pass after all.
    idle: Vec<IntegratedGradients>,
    pub(crate) options: Options,
    selected: Vec<Selected>,
    share: Option<Share>,
}

/// What the passes left.
#[derive(Default)]
pub(crate) struct Backward {
    pub(crate) columns: Vec<Column>,
    pub(crate) draws: Vec<KeptDraws>,
    /// Folders that can go when the results are safe.
    pub(crate) spent: Vec<PathBuf>,
    /// Of a part of a scan, what the passes know: of the loss and draws, and on the way from other sequences.
    pub(crate) states: (Option<Vec<u8>>, Option<Vec<u8>>),
    /// Whether every pass ran to its end.
    pub(crate) ended_early: bool,
}

impl ReversePasses {
    /// Plans what the gradient metrics among `selected` need; `None` where there is none of them.
    ///
    /// # Errors
    /// More memory than a pass may take.
    pub(crate) fn new(
        model: &Model,
        selected: &[Selected],
        options: &Options,
        text: &Objective,
        run: &Run,
        share: Option<&Share>,
    ) -> anyhow::Result<Option<Self>> {
        let selected: Vec<Selected> = selected.iter().filter(|s| s.reads_gradients()).copied().collect();
        if selected.is_empty() {
            return Ok(None);
        }
        let lengths = run.lengths();
        let mut gradients = Gradients::new(model, &selected, options, &lengths, text);
        if let Some(share) = share {
            gradients = gradients.of(share.clone());
        }
        let gradients = if gradients.is_empty() {
            None
        } else {
            let objectives = gradients.objectives();
            let drawn = objectives.iter().filter(|o| matches!(o.loss, tomo_model::engine::Loss::Drawn { .. })).count();
            let purpose = match (drawn < objectives.len(), drawn) {
                (true, 0) => "loss of the text".to_owned(),
                (true, n) => format!("loss of the text and {n} draws"),
                (false, n) => format!("{n} draws"),
            };
            let own: Vec<usize> = run.sequences(share).iter().map(Vec::len).collect();
            let plan = run.engine.plan_reverse(&own, objectives.len(), gradients.memory_bytes())?;
            Some((gradients, PlannedPass { purpose, sequences: own.len(), plan }))
        };
        let mut path = IntegratedGradients::new(model, &selected, options, &lengths, text);
        if let Some(share) = share {
            path = path.of(share);
        }
        let (mut idle, mut walked) = (Vec::new(), None);
        if path.is_empty() {
            idle.push(path);
        } else {
            let lengths: Vec<usize> = path.inputs(&run.windows.sequences).iter().map(|i| i.tokens.len()).collect();
            let plan = run.engine.plan_reverse(&lengths, 1, path.memory_bytes())?;
            let purpose = format!("integrated gradients, {} steps", options.steps);
            walked = Some((path, PlannedPass { purpose, sequences: lengths.len(), plan }));
        }
        Ok(Some(Self { gradients, path: walked, idle, options: options.clone(), selected, share: share.cloned() }))
    }

    /// The passes in their order.
    pub(crate) fn planned(&self) -> Vec<&PlannedPass> {
        let path = self.path.iter().map(|(_, planned)| planned);
        self.gradients.iter().map(|(_, planned)| planned).chain(path).collect()
    }

    /// Draws that are made for `predicted-kl-*`.
    pub(crate) fn draws(&self) -> Option<usize> {
        self.predicted().next().is_some().then_some(self.options.draws)
    }

    /// Metrics that draws are made for, and their formats.
    fn predicted(&self) -> impl Iterator<Item = (String, &'static str)> {
        self.selected.iter().filter_map(|s| match s.metric.kind {
            Kind::Gradients { formula: GradientFormula::PredictedKl { format } } => Some((s.id(), format)),
            _ => None,
        })
    }

    /// Runs the passes. One that is cancelled leaves what it knows; those after it are not begun.
    ///
    /// # Errors
    /// What [`tomo_model::engine::Engine::reverse`] refuses.
    pub(crate) fn run(
        mut self,
        run: &Run,
        resume: Option<(&Path, &str)>,
        progress: &dyn PassProgress,
    ) -> anyhow::Result<Backward> {
        let mut left = Backward::default();
        let folder =
            |name: &str| resume.map(|(at, key)| Resume { folder: at.join(name), key: format!("{name} {key}") });
        let metrics: Vec<(String, &'static str)> = self.predicted().collect();
        if let Some((mut gradients, planned)) = self.gradients.take() {
            let inputs = run.inputs(self.share.as_ref());
            let (objectives, resume) = (gradients.objectives(), folder("gradients"));
            run_pass(run, &inputs, &objectives, &mut gradients, &planned.plan, resume.as_ref(), progress, &mut left)?;
            for (metric, format) in metrics {
                // Nothing was drawn where the pass ended early.
                if let Ok(draws) = gradients.draws(format) {
                    left.draws.push(KeptDraws { metric, draws });
                }
            }
            if self.share.is_some() {
                left.states.0 = Some(gradients.state()?);
            }
            left.columns.extend(gradients.finish());
        }
        if let Some((mut path, planned)) = self.path.take() {
            let (inputs, resume) = (path.inputs(&run.windows.sequences), folder("path"));
            let objective = [path.objective()];
            run_pass(run, &inputs, &objective, &mut path, &planned.plan, resume.as_ref(), progress, &mut left)?;
            if self.share.is_some() {
                left.states.1 = Some(path.state()?);
            }
            left.columns.extend(path.finish());
        }
        left.columns.extend(self.idle.into_iter().flat_map(IntegratedGradients::finish));
        Ok(left)
    }
}

#[allow(clippy::too_many_arguments, reason = "what a pass takes, and where it leaves its traces")]
fn run_pass(
    run: &Run,
    inputs: &[Input],
    objectives: &[Objective],
    observer: &mut dyn GradientObserver,
    plan: &ReversePlan,
    resume: Option<&Resume>,
    progress: &dyn PassProgress,
    left: &mut Backward,
) -> anyhow::Result<()> {
    if progress.is_cancelled() {
        left.ended_early = true;
        return Ok(());
    }
    let outcome = run.engine.reverse(inputs, objectives, &mut [observer], plan, resume, progress)?;
    left.ended_early |= !outcome.completed;
    if outcome.completed {
        left.spent.extend(resume.map(|r| r.folder.clone()));
    }
    Ok(())
}
