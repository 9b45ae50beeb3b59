//! From metrics to changed models: which variant says what of which cell.

use tomo_map::Status;
use tomo_model::change::{ChangeError, Edit, EditContext, Quantization};
use tomo_model::engine::{Change, Engine, EngineError, OutputChange, Variant};

use super::noise;
use crate::gradients::{ALONE, NO_PARTNER};
use crate::{CausalEdit, Kind, Options, Selected};

/// A change of a cell that a metric measures.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Arm {
    pub(crate) edit: Edit,
    /// Its KL counts so much in the metric's number.
    pub(crate) weight: f64,
}

/// How a cell takes part in a metric.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Entrant {
    /// By variants from this number on, one per arm.
    Runs(usize),
    /// Its change makes the same function as that of another cell, by index.
    SameAs(usize),
    /// Not at all.
    Missing(Status, String),
}

/// One metric and its variants.
pub(crate) struct Entrants {
    pub(crate) selected: Selected,
    pub(crate) edit: CausalEdit,
    pub(crate) arms: Vec<Arm>,
    /// Parallel to the grid.
    pub(crate) cells: Vec<Entrant>,
}

impl Entrants {
    /// Those of a metric, whose variants are numbered from `first` on.
    ///
    /// # Errors
    /// What [`Engine::same_function`] refuses.
    pub(crate) fn new(
        selected: Selected,
        edit: CausalEdit,
        context: &EditContext<'_>,
        engine: &Engine,
        options: &Options,
        first: usize,
    ) -> Result<Self, EngineError> {
        let arms = arms(edit, options);
        let mut next = first;
        let count = context.model.cells().len();
        let first_alike = first_alike(edit, engine, count)?;
        let mut cells: Vec<Entrant> = Vec::with_capacity(count);
        for (at, alike) in first_alike.into_iter().enumerate() {
            let entrant = if let Some((status, reason)) = refused(edit, context, at) {
                Entrant::Missing(status, reason)
            } else if alike < at {
                Entrant::SameAs(alike)
            } else {
                next += arms.len();
                Entrant::Runs(next - arms.len())
            };
            cells.push(entrant);
        }
        Ok(Self { selected, edit, arms, cells })
    }

    /// Cells that run, by index, with their first variant.
    pub(crate) fn running(&self) -> impl Iterator<Item = (usize, usize)> {
        self.cells.iter().enumerate().filter_map(|(at, entrant)| match entrant {
            Entrant::Runs(variant) => Some((at, *variant)),
            _ => None,
        })
    }

    /// The cell whose variants speak for cell `at`, with its first variant.
    pub(crate) fn speaker(&self, at: usize) -> Result<(usize, usize), (Status, String)> {
        match self.cells.get(at) {
            Some(Entrant::Runs(variant)) => Ok((at, *variant)),
            Some(Entrant::SameAs(other)) => match self.cells.get(*other) {
                Some(Entrant::Runs(variant)) => Ok((*other, *variant)),
                _ => Err((Status::NotMeasured, "the cell that it is equal to was not run".to_owned())),
            },
            Some(Entrant::Missing(status, reason)) => Err((*status, reason.clone())),
            None => Err((Status::NotMeasured, "the model has no such cell".to_owned())),
        }
    }

    /// Its variants, in their order. Where the means are not known yet, zero stands for them: to a plan it is all the same.
    ///
    /// # Errors
    /// What [`EditContext::make`] refuses.
    pub(crate) fn variants(&self, context: &EditContext<'_>) -> Result<Vec<Variant>, ChangeError> {
        let mut variants = Vec::new();
        for (cell, _) in self.running() {
            for arm in &self.arms {
                let is_open = arm.edit == Edit::Mean && context.means.is_none();
                let change = context.make(cell, if is_open { &Edit::Zero } else { &arm.edit })?.change;
                variants.push(Variant {
                    changes: change.map(|change| (cell, change)).into_iter().collect(),
                    ..Variant::default()
                });
            }
        }
        Ok(variants)
    }
}

/// The metrics of a selection that change cells.
pub(crate) fn causal(selected: &[Selected]) -> impl Iterator<Item = (Selected, CausalEdit)> {
    selected.iter().filter_map(|selected| match selected.metric.kind {
        Kind::Causal { edit } => Some((*selected, edit)),
        _ => None,
    })
}

fn arms(edit: CausalEdit, options: &Options) -> Vec<Arm> {
    let one = |edit| vec![Arm { edit, weight: 1.0 }];
    match edit {
        CausalEdit::Zero => one(Edit::Zero),
        CausalEdit::Mean => one(Edit::Mean),
        CausalEdit::Resample => one(Edit::Resample),
        CausalEdit::LowRank => one(Edit::Rank(options.rank)),
        CausalEdit::Patch => one(Edit::Patch),
        CausalEdit::Format { format } => tomo_quant::find(format).map_or_else(Vec::new, |format| {
            let group = format.takes_group().then_some(options.group);
            one(Edit::Format { format: Quantization(format), group })
        }),
        CausalEdit::Noise => {
            let weights = noise::weights(&options.noise_levels, options.noise_seeds);
            let seeds = (0..options.noise_seeds as u64).map(|n| options.seed.wrapping_add(n));
            let sizes = options.noise_levels.iter().flat_map(|size| seeds.clone().map(|seed| (*size, seed)));
            let arm = |((size, seed), weight)| Arm { edit: Edit::Noise { size, seed: Some(seed) }, weight };
            sizes.zip(weights).map(arm).collect()
        }
    }
}

fn refused(edit: CausalEdit, context: &EditContext<'_>, cell: usize) -> Option<(Status, String)> {
    let not_applicable = |reason: &str| Some((Status::NotApplicable, reason.to_owned()));
    match edit {
        CausalEdit::Resample if context.model.cells()[cell].id.expert.is_some() => not_applicable(NO_PARTNER),
        CausalEdit::Resample if context.sequences < 2 => not_applicable(ALONE),
        CausalEdit::Patch => {
            let error = context.make(cell, &Edit::Patch).err()?.to_string();
            // The rest of it is for whoever reads an error on its own.
            not_applicable(error.lines().next().unwrap_or_default())
        }
        _ => None,
    }
}

/// Per cell the first one with which the change makes the same function: itself, unless the change is to zero.
fn first_alike(edit: CausalEdit, engine: &Engine, cells: usize) -> Result<Vec<usize>, EngineError> {
    if edit != CausalEdit::Zero {
        return Ok((0..cells).collect());
    }
    let silent = |cell| Variant { changes: vec![(cell, Change::Output(OutputChange::Zero))], ..Variant::default() };
    engine.same_function(&(0..cells).map(silent).collect::<Vec<_>>())
}
