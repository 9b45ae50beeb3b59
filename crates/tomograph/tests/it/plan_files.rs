//! Plans made by hand of models that are there, for commands that carry plans out.

use std::path::{Path, PathBuf};

use tomo_plan::{About, Budget, Choice, CostSource, Decision, Kind, OtherDecision, Plan, Stored, Totals};
use tomograph::scan;

/// A plan of bits for the checkpoint at `model`: `stored` says what a tensor becomes, and what it leaves out stays as it is.
pub(crate) fn plan_of(model: &Path, stored: impl Fn(&str) -> Option<&'static str>) -> Plan {
    let opened = scan::open(model, &[]).unwrap();
    let inventory = opened.inventory();
    let decision = |(cell, names): (&tomo_map::Cell, &tomo_map::Names)| {
        let tensor = names.gguf.clone().unwrap();
        let choice: Stored = stored(&tensor).unwrap_or("original:16").parse().unwrap();
        Decision {
            id: cell.id,
            out_features: cell.out_features,
            in_features: cell.in_features,
            names: names.clone(),
            choice: Choice::Stored(choice),
            size: choice.bytes(cell.out_features, cell.in_features),
            cost: 0.0,
        }
    };
    let other = |other: &tomo_map::OtherTensor| OtherDecision {
        names: other.names.clone(),
        role: other.role.clone(),
        shape: other.shape.clone(),
        stored: stored(&other.tensor).map_or_else(|| other.dtype.clone(), str::to_owned),
        bytes: other.bytes,
    };
    let cells: Vec<Decision> = opened.grid().cells.iter().zip(&inventory.cells).map(decision).collect();
    let size = cells.iter().map(|cell| cell.size).sum();
    Plan {
        about: About {
            model: model.display().to_string(),
            model_digest: opened.source().digest().unwrap(),
            format: opened.source().format().to_string(),
            ..About::default()
        },
        client: "llama.cpp".to_owned(),
        kind: Kind::Bits,
        budget: Budget { asked: "by hand".to_owned(), limit: size },
        cost: CostSource { metrics: Vec::new(), how: "by hand".to_owned(), unit: String::new(), proxy: true },
        fused: false,
        totals: Totals { cells: size, ..Totals::default() },
        cells,
        others: inventory.others.iter().map(other).collect(),
        gguf: None,
    }
}

/// Writes a plan into `folder`.
pub(crate) fn write_plan(plan: &Plan, folder: &Path) -> PathBuf {
    let path = folder.join("plan.json");
    std::fs::write(&path, plan.to_json().unwrap()).unwrap();
    path
}
