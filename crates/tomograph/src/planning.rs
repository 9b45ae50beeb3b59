//! From maps to a plan, and from a plan to a picture of it.

use anyhow::{Context, ensure};
use tomo_map::{Additivity, Cell, Column, Direction, Grid, Map, Meaning, MetricInfo, Provenance, Scope, Score};
use tomo_plan::{Choice, Kind, Plan};
use tomo_text::Passages;

/// One map with the columns of several maps of one model; of columns that several have, the first counts. It remembers the passages
/// of all their texts.
///
/// # Errors
/// No map at all, maps of different models or grids, a sketch of a text that cannot be read.
pub fn merge(maps: Vec<Map>) -> anyhow::Result<Map> {
    let mut maps = maps.into_iter();
    let mut merged = maps.next().context("a plan needs a map")?;
    for map in maps {
        let (ours, theirs) = (&merged.provenance, &map.provenance);
        ensure!(
            ours.model_digest == theirs.model_digest && merged.grid == map.grid,
            "the maps are of different models\n  found: {} ({}) and {} ({})",
            ours.model,
            ours.model_digest,
            theirs.model,
            theirs.model_digest
        );
        ensure!(
            ours.group == theirs.group || !has_groups(&merged) || !has_groups(&map),
            "the maps were made with different --group: {:?} and {:?}",
            ours.group,
            theirs.group
        );
        let new: Vec<Column> = map.columns.into_iter().filter(|c| merged.column(&c.info.id).is_none()).collect();
        merged.columns.extend(new);
        merged.provenance = of_both_texts(merged.provenance, map.provenance)?;
        merged.inventory = merged.inventory.or(map.inventory);
    }
    Ok(merged)
}

/// Whether any column depends on the group size.
fn has_groups(map: &Map) -> bool {
    map.columns.iter().any(|column| column.info.id.contains("-int"))
}

fn of_both_texts(ours: Provenance, theirs: Provenance) -> anyhow::Result<Provenance> {
    let is_known = ours.text_digest == theirs.text_digest || theirs.text.is_none();
    let command = format!("{}; {}", ours.command, theirs.command);
    if ours.text.is_none() {
        let Provenance { text, text_digest, text_passages, tokens, sequences, .. } = theirs;
        return Ok(Provenance { text, text_digest, text_passages, tokens, sequences, command, ..ours });
    }
    if is_known {
        return Ok(Provenance { command, ..ours });
    }
    let read = |passages: &Option<String>| passages.as_deref().map(str::parse::<Passages>).transpose();
    let text_passages = match (read(&ours.text_passages)?, read(&theirs.text_passages)?) {
        (Some(ours), Some(theirs)) => Some(ours.with(&theirs).to_string()),
        // What is not known of one text cannot be refused.
        (ours, theirs) => ours.or(theirs).map(|passages| passages.to_string()),
    };
    let text = ours.text.as_ref().zip(theirs.text).map(|(ours, theirs)| format!("{ours}; {theirs}"));
    let text_digest = ours.text_digest.as_ref().zip(theirs.text_digest).map(|(a, b)| format!("{a} {b}"));
    Ok(Provenance { text, text_digest, text_passages, command, ..ours })
}

/// A plan as a map that can be drawn: what every cell gets.
pub fn picture(plan: &Plan) -> Map {
    let cells = plan.cells.iter().map(|cell| Cell {
        id: cell.id,
        out_features: cell.out_features,
        in_features: cell.in_features,
        tensor: cell.names.gguf.clone().or_else(|| cell.names.hugging_face.clone()).unwrap_or_default(),
        dtype: String::new(),
    });
    let grid = Grid {
        layers: plan.cells.last().map_or(0, |cell| cell.id.layer + 1),
        cells: cells.collect(),
        missing: Vec::new(),
    };
    let (id, title, unit) = match plan.kind {
        Kind::Bits => ("bits-per-weight", "Bits per weight", "bits"),
        Kind::Rank => ("rank", "LoRA rank", "rank"),
        Kind::Train => ("trained", "Trained", "1: trained"),
        Kind::Sparsity => ("sparsity", "Weights removed", "share"),
    };
    let value = |cell: &tomo_plan::Decision| match cell.choice {
        Choice::Stored(_) => 8.0 * cell.size as f64 / cell.numel().max(1) as f64,
        Choice::Rank { rank, .. } => f64::from(rank),
        Choice::Train(trained) => f64::from(u8::from(trained)),
        Choice::Sparsity(share) => share,
    };
    let info = MetricInfo {
        id: id.into(),
        title: title.into(),
        summary: format!("What the plan gives every cell: {}, for {}.", plan.budget.asked, plan.client).into(),
        unit: unit.into(),
        family: "plan".into(),
        meaning: Meaning::Structure,
        direction: Direction::Neutral,
        scope: Scope::Map,
        additivity: Additivity::NonNegative,
        middle: None,
        proxy: false,
        caveat: format!("Costs are {}.", plan.cost.how).into(),
    };
    let provenance = Provenance {
        model: plan.about.model.clone(),
        model_digest: plan.about.model_digest.clone(),
        family: plan.about.family.clone(),
        format: plan.about.format.clone(),
        version: plan.about.version.clone(),
        command: plan.about.command.clone(),
        ..Provenance::default()
    };
    let scores = plan.cells.iter().map(|cell| Score::from_value(value(cell))).collect();
    Map { provenance, grid, columns: vec![Column::new(info, scores)], ..Map::default() }
}
