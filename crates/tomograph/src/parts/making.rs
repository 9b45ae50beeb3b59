//! A part, when its scan has run.

use std::sync::Arc;

use tomo_map::{Beside, Column, GgufHeader, Provenance, Score, Status};
use tomo_metrics::{Options, Selected, Share};
use tomo_model::Model;

use super::file::{About, Part, States};
use super::shares::{ELSEWHERE, Shares};
use super::skeleton::Skeleton;
use crate::run::Run;
use crate::scan::Request;

/// What a part has to say of the text it was made on.
#[derive(Default)]
pub(crate) struct OfText {
    lengths: Vec<usize>,
    positions: Option<Vec<Vec<usize>>>,
    threads: usize,
}

impl OfText {
    pub(crate) fn new(run: &Run) -> Self {
        Self { lengths: run.lengths(), positions: run.answers.clone(), threads: run.engine.threads() }
    }
}

/// What a part is made of beside its numbers.
pub(crate) struct Making<'a> {
    pub(crate) request: &'a Request,
    pub(crate) model: &'a Model,
    /// What it is compared with.
    pub(crate) base: Option<Arc<Model>>,
    pub(crate) selected: &'a [Selected],
    pub(crate) shares: Shares,
    /// With nothing left open.
    pub(crate) options: Options,
    pub(crate) text: OfText,
    pub(crate) gguf: Option<GgufHeader>,
}

impl Making<'_> {
    /// The columns of the part's map: without those whose share is one of sequences, and with nothing said of cells that are others'.
    /// Where the passes over the text are done, what they leave open takes what another part knows.
    pub(crate) fn own(&self, columns: Vec<Column>, is_done: bool) -> Vec<Column> {
        let has_imatrix = self.request.imatrix.is_some();
        let own = |mut column: Column| -> Option<Column> {
            let metric = self.selected.iter().find(|s| s.id() == column.info.id)?;
            let Some(Share::Cells(cells)) = self.shares.of(metric, has_imatrix) else { return None };
            let is_open = is_done && metric.reads_text() && !has_imatrix;
            for (at, score) in column.scores.iter_mut().enumerate() {
                if cells.binary_search(&at).is_err() || (is_open && score.status() == Status::NotMeasured) {
                    *score = Score::missing(Status::NotMeasured, ELSEWHERE);
                }
            }
            // How far the map agrees with itself is said of a whole one.
            column.measurement = None;
            Some(column)
        };
        columns.into_iter().filter_map(own).collect()
    }

    /// The part that says `columns` of its own cells, and knows `states`.
    ///
    /// # Errors
    /// A checkpoint that cannot be read any more.
    pub(crate) fn part(
        self,
        columns: &[Column],
        beside: &[Beside],
        mut states: States,
        provenance: &Provenance,
    ) -> anyhow::Result<Part> {
        let Self { request, model, base, selected, shares, options, text, gguf } = self;
        let has_imatrix = request.imatrix.is_some();
        let is_stored = |c: &&Column| selected.iter().any(|s| s.id() == c.info.id && (!s.reads_text() || has_imatrix));
        states.columns = serde_json::to_vec(&columns.iter().filter(is_stored).collect::<Vec<_>>())?;
        states.beside = serde_json::to_vec(beside)?;
        let patched = base.filter(|_| selected.iter().any(Selected::patches));
        let base_digest = provenance.against.as_ref().map_or("", |against| against.model_digest.as_str());
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            metrics: selected.iter().map(Selected::id).collect(),
            options,
            overrides: request.cells.iter().map(ToString::to_string).collect(),
            partial: request.partial,
            ignored_config_keys: request.run.ignored_config_keys.clone(),
            lengths: text.lengths,
            positions: text.positions,
            imatrix: has_imatrix,
            gguf,
            model: Skeleton::of(model.source(), &provenance.model_digest)?,
            base: patched.map(|base| Skeleton::of(base.source(), base_digest)).transpose()?,
            provenance: provenance.clone(),
            cut: request.cut.as_ref().map(ToString::to_string).unwrap_or_default(),
            shares,
            threads: text.threads,
        };
        Ok(Part { about, states, name: request.path.display().to_string() })
    }
}
