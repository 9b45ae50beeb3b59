//! Does a plan help? The model as the plan stores it, and as others of the same size would, beside the model as it is, on the same
//! tokens.

use std::sync::Arc;

use anyhow::{Context, ensure};
use tomo_model::Model;
use tomo_model::change::{Defaults, Edit, EditContext, Note, Shared};
use tomo_model::engine::{ComparePlan, PassProgress, Variant};
use tomo_plan::{About, Decision, Kind, Plan, Stored};
use tomo_text::{Passages, Windows};
use tomo_verify::proof::{Arm, Proof, Role, prove};

use crate::measure::{Kept, compare};
use crate::run::Run;

/// Rewritten weights that are kept while a block runs, so that cells stored alike in several arms are encoded once.
pub(crate) const SHARED_BYTES: u64 = 256_000_000;

/// Share of the passages of a held-out text that may be in the text that a plan was made from: what two texts of one language and
/// kind have in common by chance.
const MOST_OVERLAP: f64 = 0.02;

/// A plan that takes part.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    /// What to call it.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// What is done to the cells.
    pub plan: Plan,
}

/// Arms with everything decided: the memory is known, nothing has run.
pub struct Trial<'a> {
    run: &'a Run,
    candidates: Vec<Candidate>,
    variants: Vec<Variant>,
    seed: u64,
    /// The pass with all of them.
    pub plan: ComparePlan,
    /// What is worth knowing about how cells are stored.
    pub notes: Vec<Note>,
}

impl<'a> Trial<'a> {
    /// Prepares the comparison of `candidates`, all of the model of `run`.
    ///
    /// # Errors
    /// A plan that stores no cells, or is of a model of other cells; more memory than a pass may take.
    pub fn new(run: &'a Run, candidates: Vec<Candidate>, seed: u64) -> anyhow::Result<Self> {
        ensure!(
            run.windows.sequences.len() > 1,
            "one sequence gives no intervals, and so no verdict\n  hint: more --tokens, or a shorter --sequence"
        );
        let shared = Shared::new(SHARED_BYTES);
        let (mut variants, mut notes) = (Vec::new(), Vec::<Note>::new());
        for candidate in &candidates {
            let edits = edits(run.engine.model(), &candidate.plan)
                .with_context(|| format!("the plan of {} cannot be applied", candidate.name))?;
            let made = context(run).variant_sharing(&edits, &shared)?;
            variants.push(made.variant);
            // The same is true of the same cells in most arms.
            notes.extend(
                made.notes.into_iter().filter(|new| notes.iter().all(|old| old.text != new.text)).collect::<Vec<_>>(),
            );
        }
        let plan = run.engine.plan_compare(&run.lengths(), &variants)?;
        Ok(Self { run, candidates, variants, seed, plan, notes })
    }

    /// The arms in their order, with the bytes that their cells take.
    pub fn arms(&self) -> impl Iterator<Item = (&Candidate, u64)> {
        self.candidates.iter().map(|candidate| (candidate, cell_bytes(&candidate.plan)))
    }

    /// Runs the model and every arm; `None` when it was cancelled.
    ///
    /// # Errors
    /// Weights that cannot be read, an arm whose losses are not finite.
    pub fn run(&self, progress: &dyn PassProgress) -> anyhow::Result<Option<Proof>> {
        let Some(Kept { original, damage }) =
            compare(self.run, &self.variants, &self.plan, &self.plan.rounds, progress)?
        else {
            return Ok(None);
        };
        let arm = |(candidate, damage): (&Candidate, Vec<Vec<_>>)| {
            let bytes = cell_bytes(&candidate.plan);
            let weights: u64 = candidate.plan.cells.iter().map(Decision::numel).sum();
            let bits_per_weight = 8.0 * bytes as f64 / (weights as f64).max(1.0);
            Arm { name: candidate.name.clone(), role: candidate.role, bytes, bits_per_weight, damage }
        };
        let arms: Vec<Arm> = self.candidates.iter().zip(damage).map(arm).collect();
        Ok(Some(prove(&original, &arms, self.seed)?))
    }
}

/// How edits of a plan are made: they leave nothing open.
pub(crate) fn context(run: &Run) -> EditContext<'_> {
    let defaults = Defaults { group: 128, seed: 0 };
    let sequences = run.windows.sequences.len();
    EditContext { model: run.engine.model(), against: None, means: None, sequences, defaults }
}

/// What a plan does to the cells of a model, by index. Cells that keep the type they have are left as they are.
///
/// # Errors
/// A plan that does not store cells; cells that the model has not, or not in this shape.
pub(crate) fn edits(model: &Model, plan: &Plan) -> anyhow::Result<Vec<(usize, Edit)>> {
    check_kind(plan)?;
    let mut edits = Vec::new();
    for (decision, stored) in plan.stored() {
        let at = model.grid().cells.binary_search_by_key(&decision.id, |cell| cell.id).ok();
        let at =
            at.with_context(|| format!("the model has no cell {}\n  hint: the plan is of another model", decision.id))?;
        let source = &model.cells()[at];
        ensure!(
            (source.out_features, source.in_features) == (decision.out_features, decision.in_features),
            "{} has another shape\n  expected: {} x {}, as in the plan\n  found: {} x {}",
            decision.id,
            decision.out_features,
            decision.in_features,
            source.out_features,
            source.in_features
        );
        if !keeps_type(model, at, stored.on(decision.in_features)) {
            edits.push((at, stored.to_string().parse()?));
        }
    }
    Ok(edits)
}

/// Refuses plans that do not say how cells are stored.
///
/// # Errors
/// A plan of ranks, of cells to train, or of sparsity.
pub fn check_kind(plan: &Plan) -> anyhow::Result<()> {
    ensure!(
        plan.kind == Kind::Bits,
        "only a plan that says how cells are stored can be verified\n  expected: kind bits\n  found: kind {}\n  hint: what ranks, \
         training or sparsity do shows after training; tomograph map TUNED --against BASE shows what changed",
        format!("{:?}", plan.kind).to_lowercase()
    );
    Ok(())
}

/// Whether storing cell number `at` so changes nothing.
fn keeps_type(model: &Model, at: usize, stored: Stored) -> bool {
    match stored {
        Stored::Original { .. } => true,
        Stored::Block(block) => {
            let dtype = model.source().tensor(&model.cells()[at].tensor).map(|tensor| tensor.dtype.name());
            block.id == "f32" || dtype.is_some_and(|dtype| dtype.eq_ignore_ascii_case(block.id))
        }
        _ => false,
    }
}

/// Bytes that the cells of a plan take with its client.
pub fn cell_bytes(plan: &Plan) -> u64 {
    let of = |(cell, stored): (&Decision, Stored)| bytes_of(&plan.client, stored, cell.out_features, cell.in_features);
    plan.stored().map(of).sum()
}

/// Bytes of so many rows and columns with a client.
pub(crate) fn bytes_of(client: &str, stored: Stored, rows: u64, columns: u64) -> u64 {
    match tomo_plan::find_client(client) {
        Ok(client) => (client.bytes)(stored, rows, columns),
        Err(_) => stored.bytes(rows, columns),
    }
}

/// Checks that a plan is of `model`, by the digest of its weights.
///
/// # Errors
/// Another digest, or a checkpoint that cannot be read.
pub fn check_model(plan: &Plan, model: &Arc<Model>) -> anyhow::Result<()> {
    let found = model.source().digest().context("cannot digest the checkpoint")?;
    ensure!(
        plan.about.model_digest == found,
        "the plan was made for other weights\n  plan: for {:?}\n  expected: digest {}\n  found: digest {found}\n  hint: --force \
         applies it all the same",
        plan.about.model,
        plan.about.model_digest.escape_debug()
    );
    Ok(())
}

/// Checks that a held-out text is another than the one a plan was made from. Returns what is worth knowing about that.
///
/// # Errors
/// The same tokens; more of the same passages than two texts have by chance.
pub fn check_text(about: &About, held_out: &Windows) -> anyhow::Result<Option<String>> {
    let what = "the text that the plan was made from";
    let hint = "hint: a plan is fitted to its text; only another one can say whether it helps";
    ensure!(
        about.text_digest.as_deref() != Some(held_out.digest().as_str()),
        "the text is {what}\n  found: the same tokens\n  {hint}"
    );
    match (&about.text_passages, &about.text) {
        (Some(passages), _) => {
            let passages: Passages = passages.parse().context("the plan's text_passages cannot be read")?;
            check_overlap(held_out, &passages, what).map(Some)
        }
        (None, Some(_)) => {
            Ok(Some(format!("whether the text has passages of {what} is not known: it keeps only a digest of it")))
        }
        (None, None) => Ok(Some("the plan was made without a text".to_owned())),
    }
}

/// Checks that `held_out` has hardly a passage of another text.
///
/// # Errors
/// More than chance would have.
pub fn check_overlap(held_out: &Windows, other: &Passages, what: &str) -> anyhow::Result<String> {
    let overlap = held_out.overlap(other);
    let (share, found, of) = (100.0 * overlap.share(), overlap.found, overlap.looked_for);
    ensure!(
        overlap.share() <= MOST_OVERLAP,
        "the text has passages of {what}\n  expected: at most {} % of its passages\n  found: {share:.1} % ({found} of the {of} that \
         were looked for)\n  hint: hold whole documents out, not windows of the same ones",
        100.0 * MOST_OVERLAP
    );
    Ok(format!("{share:.1} % of the text's passages are in {what} ({found} of the {of} that were looked for)"))
}
