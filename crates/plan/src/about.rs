use tomo_map::Map;

use crate::{About, Options};

/// Where a plan comes from: what the map says of itself, and what the plan's own command says.
pub(crate) fn about(map: &Map, options: &Options, notes: Vec<String>) -> About {
    let from = &map.provenance;
    About {
        model: from.model.clone(),
        model_digest: from.model_digest.clone(),
        family: from.family.clone(),
        format: from.format.clone(),
        map_command: from.command.clone(),
        text: from.text.clone(),
        text_digest: from.text_digest.clone(),
        text_passages: from.text_passages.clone(),
        seed: None,
        version: options.version.clone(),
        command: options.command.clone(),
        notes,
    }
}
