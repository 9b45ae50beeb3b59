//! Parts put together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use tomo_map::{Beside, Column, Inventory, Map, Provenance, Score, Status};
use tomo_metrics::{Activations, Causal, Gradients, IntegratedGradients, Kind, Measured, Options, Selected, Share};
use tomo_model::Model;
use tomo_model::engine::{Engine, EngineOptions, Objective};

use super::file::{About, Part, States};
use super::shares::Reads;
use crate::draws_file::KeptDraws;
use crate::scan::Scanned;

/// What parts make together.
pub struct Merged {
    /// What the scan would have left.
    pub scanned: Scanned,
    /// What is worth knowing; whole sentences without the full stop.
    pub notes: Vec<String>,
}

/// Puts the parts of one scan together to the map that the scan would have made by itself. `model` says where the checkpoint is if
/// it is not where the parts found it; it is opened only where scores take weights and sums over all sequences.
///
/// # Errors
/// Parts of different scans; a part that is missing or there twice, by name; a checkpoint that is needed and not there.
pub fn merge(parts: &[Part], model: Option<&Path>) -> anyhow::Result<Merged> {
    let first = parts.first().context("there are no parts to put together")?;
    for other in &parts[1..] {
        check_alike(first, other)?;
    }
    let skeleton = Arc::new(first.model(&first.about.model)?);
    let (cells, sequences) = (skeleton.cells().len(), first.about.lengths.len());
    for part in parts {
        part.about.shares.check(cells, sequences).with_context(|| format!("{} cannot be used", part.name))?;
    }
    check_complete(parts, &skeleton, sequences)?;
    Whole::new(first, skeleton)?.merge(parts, model)
}

/// Whether two parts are of one scan.
fn check_alike(first: &Part, other: &Part) -> anyhow::Result<()> {
    let (a, b) = (&first.about, &other.about);
    let digests = |p: &Provenance| (p.model_digest.clone(), p.config_digest.clone());
    let against = |p: &Provenance| p.against.as_ref().map(|a| (a.model_digest.clone(), a.cast.clone()));
    let differ = if a.version != b.version {
        Some(("version of the program", format!("{} and {}", a.version, b.version)))
    } else if digests(&a.provenance) != digests(&b.provenance) {
        let both = [a, b].map(|about| format!("{} ({})", about.provenance.model, about.provenance.model_digest));
        Some(("checkpoint", both.join(" and ")))
    } else if against(&a.provenance) != against(&b.provenance) {
        Some(("--against", format!("{:?} and {:?}", against(&a.provenance), against(&b.provenance))))
    } else if a.metrics != b.metrics {
        Some(("metrics", format!("{} and {}", a.metrics.join(","), b.metrics.join(","))))
    } else if a.options != b.options {
        Some(("options", format!("{:?} and {:?}", a.options, b.options)))
    } else if a.provenance.text_digest != b.provenance.text_digest
        || a.lengths != b.lengths
        || a.positions != b.positions
    {
        Some(("text", format!("{:?} and {:?}", a.provenance.text, b.provenance.text)))
    } else if (&a.overrides, a.partial, &a.ignored_config_keys, a.imatrix)
        != (&b.overrides, b.partial, &b.ignored_config_keys, b.imatrix)
    {
        Some(("options of the model", format!("{:?} and {:?}", a.overrides, b.overrides)))
    } else if !a.model.is_same_checkpoint(&b.model) {
        Some(("tensors", "others under the same digest".to_owned()))
    } else {
        None
    };
    match differ {
        None => Ok(()),
        Some((what, found)) => bail!(
            "the parts are of different scans\n  where: {} and {}\n  expected: the same {what}\n  found: {found}\n  hint: make all parts \
             with one command line, but for --shard, --layers or --cells",
            first.name,
            other.name
        ),
    }
}

/// Whether every cell and sequence is in one part, and in no other.
fn check_complete(parts: &[Part], model: &Model, sequences: usize) -> anyhow::Result<()> {
    for reads in Reads::ALL {
        let what = reads.name();
        let shares: Vec<(&Part, &Share)> =
            parts.iter().filter_map(|part| Some((part, part.about.shares.get(reads)?))).collect();
        let Some((_, first)) = shares.first() else { continue };
        let by_sequence = matches!(first, Share::Sequences(_));
        let count = if by_sequence { sequences } else { model.cells().len() };
        let name = |at: usize| if by_sequence { format!("sequence {at}") } else { model.cells()[at].id.to_string() };
        let mut owner: Vec<Option<&Part>> = vec![None; count];
        for (part, share) in &shares {
            let items = match share {
                Share::Cells(items) if !by_sequence => items,
                Share::Sequences(items) if by_sequence => items,
                _ => bail!(
                    "the parts are cut in different ways\n  where: {what} in {} and {}\n  hint: make all of them with --shard, or all with \
                     --layers or --cells",
                    shares[0].0.name,
                    part.name
                ),
            };
            for at in items {
                if let Some(other) = owner[*at].replace(part) {
                    bail!(
                        "two parts hold the same\n  where: {} ({}) and {} ({})\n  found: {} in both\n  hint: leave one of them out",
                        other.name,
                        other.cut(),
                        part.name,
                        part.cut(),
                        name(*at)
                    );
                }
            }
        }
        let missing: Vec<usize> = (0..count).filter(|at| owner[*at].is_none()).collect();
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            let shards = missing_shards(parts);
            let hint = if shards.is_empty() { "them with --cells or --layers" } else { "them with the same command" };
            bail!(
                "parts are missing{shards}\n  expected: every {} once\n  found: {} of {count} {} in no part, for {what}: {} to {}\n  hint: make {hint}",
                if by_sequence { "sequence" } else { "cell" },
                missing.len(),
                if by_sequence { "sequences" } else { "cells" },
                name(*first),
                name(*last),
            );
        }
    }
    Ok(())
}

/// `: 3/16 5/16`, where all parts are some of so many.
fn missing_shards(parts: &[Part]) -> String {
    let shards: Option<Vec<super::Shard>> = parts.iter().map(|part| part.cut().parse().ok()).collect();
    let Some(shards) = shards else { return String::new() };
    let Some(of) = shards.first().map(|shard| shard.of()) else { return String::new() };
    /// More names than an error should have.
    const MOST: usize = 20;
    let missing = (1..=of).filter(|number| !shards.iter().any(|s| s.number() == *number));
    let names: Vec<String> = missing.map(|number| format!("{number}/{of}")).collect();
    match names.len() {
        0 => String::new(),
        1..=MOST => format!(": {}", names.join(" ")),
        n => format!(": {} and {} others", names[..MOST].join(" "), n - MOST),
    }
}

/// The whole scan, as it would stand before anything has run.
struct Whole<'a> {
    about: &'a About,
    model: Arc<Model>,
    selected: Vec<Selected>,
}

impl<'a> Whole<'a> {
    fn new(first: &'a Part, model: Arc<Model>) -> anyhow::Result<Self> {
        let about = &first.about;
        let selected =
            if about.metrics.is_empty() { Vec::new() } else { tomo_metrics::select(&about.metrics.join(","))? };
        let ids: Vec<String> = selected.iter().map(Selected::id).collect();
        ensure!(
            ids == about.metrics,
            "the parts are of other metrics than this version has: {}",
            about.metrics.join(",")
        );
        Ok(Self { about, model, selected })
    }

    fn options(&self) -> &Options {
        &self.about.options
    }

    fn objective(&self) -> Objective {
        Objective { positions: self.about.positions.clone().map(Into::into), ..Objective::text() }
    }

    fn merge(&self, parts: &[Part], at: Option<&Path>) -> anyhow::Result<Merged> {
        let mut columns = self.stored_columns(parts)?;
        let mut notes = Vec::new();
        columns.extend(self.activations(parts, at)?);
        let (gradients, draws) = self.gradients(parts)?;
        columns.extend(gradients);
        let (causal, measured) = self.causal(parts)?;
        columns.extend(causal);
        columns.sort_by_key(|c| self.about.metrics.iter().position(|id| *id == c.info.id));
        let threads: std::collections::BTreeSet<usize> = parts.iter().map(|part| part.about.threads).collect();
        if threads.len() > 1 && !self.about.lengths.is_empty() {
            notes.push(format!(
                "parts were made with different numbers of threads ({threads:?}): what ran the model agrees within 1e-5"
            ));
        }
        let beside: Vec<Beside> = serde_json::from_slice(&parts[0].states.beside).context("a part is damaged")?;
        let inventory = Some(Box::new(Inventory { gguf: self.about.gguf, ..self.model.inventory() }));
        let provenance = provenance(parts);
        let map = Map { provenance, grid: self.model.grid().clone(), columns, beside, inventory, ..Map::default() };
        map.validate().context("the parts do not make a map")?;
        let scanned = Scanned { map, draws, measured, ended_early: false, spent: Vec::new(), part: None };
        Ok(Merged { scanned, notes })
    }

    /// Columns of which every part has its cells' scores.
    fn stored_columns(&self, parts: &[Part]) -> anyhow::Result<Vec<Column>> {
        let mut whole: BTreeMap<String, Column> = BTreeMap::new();
        for part in parts {
            let Some(Share::Cells(cells)) = &part.about.shares.weights else { continue };
            let columns: Vec<Column> =
                serde_json::from_slice(&part.states.columns).with_context(|| format!("{} is damaged", part.name))?;
            for column in columns {
                let id = column.info.id.to_string();
                let none = || Score::missing(Status::NotMeasured, super::shares::ELSEWHERE);
                ensure!(column.scores.len() == self.model.cells().len(), "{} is of another model", part.name);
                let own = whole
                    .entry(id)
                    .or_insert_with(|| Column { scores: vec![none(); column.scores.len()], ..column.clone() });
                let mut scores = column.scores;
                cells.iter().for_each(|at| own.scores[*at] = std::mem::replace(&mut scores[*at], none()));
            }
        }
        Ok(whole.into_values().collect())
    }

    fn activations(&self, parts: &[Part], at: Option<&Path>) -> anyhow::Result<Vec<Column>> {
        if !self.selected.iter().any(Selected::reads_activations) || self.about.imatrix {
            return Ok(Vec::new());
        }
        let mut whole = Activations::new(&self.model, &self.selected, self.options(), &self.about.lengths);
        for (part, share, state) in states(parts, Reads::Activations, |s| &s.activations) {
            whole.absorb(state, share).with_context(|| part.name.clone())?;
        }
        let lacking = whole.lacking_weights();
        if !lacking.is_empty() {
            let model = self.with_weights(at)?;
            let mut weights = Vec::new();
            for cell in lacking {
                model.load(cell, &mut weights)?;
                model.release(cell);
                whole.weigh_cell(cell, usize::try_from(model.cells()[cell].in_features)?, &weights);
            }
        }
        Ok(whole.finish())
    }

    /// The model with its weights.
    fn with_weights(&self, at: Option<&Path>) -> anyhow::Result<Model> {
        let path = at.unwrap_or_else(|| self.model.source().path());
        let open = || -> anyhow::Result<Model> {
            let model = Model::open(tomo_checkpoint::open(path)?, &self.about.open_options()?)?;
            let (expected, found) = (&self.about.provenance.model_digest, model.source().digest()?);
            ensure!(*expected == found, "it is another checkpoint\n  expected: {expected}\n  found: {found}");
            Ok(model)
        };
        open().with_context(|| {
            format!(
                "some scores take the weights together with sums over all sequences, and the checkpoint cannot be used\n  path: {}\n  hint: \
                 --model says where it is",
                path.display()
            )
        })
    }

    fn gradients(&self, parts: &[Part]) -> anyhow::Result<(Vec<Column>, Vec<KeptDraws>)> {
        let mut columns = Vec::new();
        let mut draws = Vec::new();
        if !self.selected.iter().any(Selected::reads_gradients) {
            return Ok((columns, draws));
        }
        let (lengths, objective) = (&self.about.lengths, self.objective());
        let mut gradients = Gradients::new(&self.model, &self.selected, self.options(), lengths, &objective);
        for (part, share, state) in states(parts, Reads::Gradients, |s| &s.gradients) {
            gradients.absorb(state, share).with_context(|| part.name.clone())?;
        }
        for selected in &self.selected {
            if let Kind::Gradients { formula: tomo_metrics::GradientFormula::PredictedKl { format } } =
                selected.metric.kind
                && let Ok(drawn) = gradients.draws(format)
            {
                draws.push(KeptDraws { metric: selected.id(), draws: drawn });
            }
        }
        columns.extend(gradients.finish());
        let mut path = IntegratedGradients::new(&self.model, &self.selected, self.options(), lengths, &objective);
        for (part, share, state) in states(parts, Reads::Gradients, |s| &s.path) {
            path.absorb(state, share).with_context(|| part.name.clone())?;
        }
        columns.extend(path.finish());
        Ok((columns, draws))
    }

    fn causal(&self, parts: &[Part]) -> anyhow::Result<(Vec<Column>, Vec<Measured>)> {
        if !self.selected.iter().any(Selected::is_causal) {
            return Ok((Vec::new(), Vec::new()));
        }
        let architecture = self.model.architecture_ignoring(&self.about.ignored_config_keys)?;
        // Nothing is run: what it would take is of no interest.
        let options = EngineOptions { threads: Some(1), memory_bytes: Some(u64::MAX), ..EngineOptions::default() };
        let engine = Engine::new(Arc::clone(&self.model), architecture, options)?;
        let base = self.about.base.as_ref().map(|base| parts[0].model(base).map(Arc::new)).transpose()?;
        let (options, lengths) = (self.options(), &self.about.lengths);
        let causal = Causal::new(&engine, &self.model, &self.selected, options, lengths, base, None)?;
        let Some(mut causal) = causal else { return Ok((Vec::new(), Vec::new())) };
        for (part, _, state) in states(parts, Reads::Causal, |s| &s.causal) {
            causal.absorb(state).with_context(|| part.name.clone())?;
        }
        Ok((causal.columns(), causal.measured()))
    }
}

/// The states of one kind, with the shares they are of.
fn states(
    parts: &[Part],
    reads: Reads,
    state: fn(&States) -> &Option<Vec<u8>>,
) -> impl Iterator<Item = (&Part, &Share, &[u8])> {
    parts.iter().filter_map(move |part| Some((part, part.about.shares.get(reads)?, state(&part.states).as_deref()?)))
}

/// Where the whole comes from: the first part's words, the earliest start, everybody's time.
fn provenance(parts: &[Part]) -> Provenance {
    let all = || parts.iter().map(|part| &part.about.provenance);
    let first = &parts[0].about.provenance;
    Provenance {
        command: format!("{} [one of {} parts]", first.command, parts.len()),
        started: all().map(|p| p.started.clone()).min().unwrap_or_default(),
        seconds: all().map(|p| p.seconds).sum(),
        peak_rss_bytes: all().filter_map(|p| p.peak_rss_bytes).max(),
        ..first.clone()
    }
}
