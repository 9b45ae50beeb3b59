//! Plans of bits: sizes, wishes, ties, budgets.

use tomo_map::Component;
use tomo_plan::{Choice, Keep, Options, Plan, PlanError, Stored, make_plan};

use crate::samples::{FUSING, GGUF, INTEGERS, Of, bits, importance, map, measured};

fn text(plan: &Plan) -> Vec<String> {
    plan.stored().map(|(_, stored)| stored.to_string()).collect()
}

fn keeping(asked: &str, keep: &[&str]) -> Options {
    Options { keep: keep.iter().map(|text| text.parse::<Keep>().unwrap()).collect(), ..bits(asked) }
}

#[test]
fn the_plan_costs_what_its_cells_do_and_takes_what_they_do() {
    let map = measured(6);
    let plan = make_plan(&map, &GGUF, &bits("5.5bpw")).unwrap();
    plan.check().unwrap();
    let weights: u64 = plan.cells.iter().map(|cell| cell.numel()).sum();
    assert_eq!(plan.budget.limit, weights * 11 / 16);
    assert!(plan.totals.cells <= plan.budget.limit);
    assert!(plan.totals.cells as f64 > 0.999 * plan.budget.limit as f64);
    for (cell, stored) in plan.stored() {
        assert_eq!(cell.size, stored.bytes(cell.out_features, cell.in_features));
        let id = format!("quant-kl-{stored}");
        assert_eq!(Some(cell.cost), map.score(&id, cell.id).unwrap().value());
    }
    assert_eq!(plan.totals.cells, plan.cells.iter().map(|cell| cell.size).sum::<u64>());
    assert!(plan.totals.bound <= plan.totals.cost && plan.totals.cost < 1.0001 * plan.totals.bound);
    // Not one type everywhere, and the costliest cell has more bits than the cheapest of its shape.
    let mut of_q: Vec<(f64, u64)> = plan
        .cells
        .iter()
        .enumerate()
        .filter(|(_, c)| c.id.component == Component::AttnQ)
        .map(|(at, cell)| (importance(at), cell.size))
        .collect();
    of_q.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(of_q.is_sorted_by_key(|(_, size)| *size) && of_q[0].1 < of_q[5].1, "{of_q:?}");
    assert_eq!(plan.about.text_digest.as_deref(), Some("digest of a text"));
    assert_eq!(make_plan(&map, &GGUF, &bits("5.5bpw")).unwrap(), plan);
}

#[test]
fn a_file_is_header_and_padded_tensors() {
    let plan = make_plan(&measured(1), &GGUF, &bits("4.5bpw")).unwrap();
    assert!(text(&plan).iter().all(|stored| stored == "q4_0"));
    // Cells: 64x64, 32x64 twice, 64x64; 96x64, 64x96, 96x64: 30,720 weights at 18 bytes for 32.
    assert_eq!(plan.totals.cells, 30_720 / 32 * 18);
    // Norm of 64 and embedding of 32 x 64 in f32.
    assert_eq!(plan.totals.others, 4 * (64 + 2048));
    // Header: 24, metadata 100; per tensor 8 + name + 4 + 8 per dimension + 4 + 8. Names: blk.0.attn_q.weight 19, k and v too, output
    // 24, ffn_up 19, ffn_down 21, ffn_gate 21: 142 of seven tensors; output_norm.weight 18, token_embd.weight 17. Dimensions: 8 * 2 + 1.
    let header: u64 = 24 + 100 + 9 * (8 + 4 + 4 + 8) + 142 + 18 + 17 + 8 * 17;
    // 653, padded to 672; every tensor of 2304, 1152, 3456, 256 and 8192 bytes is a multiple of 32 already.
    assert_eq!((header, header.next_multiple_of(32)), (653, 672));
    assert_eq!(plan.totals.file, Some(672 + 30_720 / 32 * 18 + 4 * (64 + 2048)));
    // Of changed decisions it is counted again: a byte more in a tensor of 64 x 64 / 32 x 18 = 72 x 32 bytes is padded to 32.
    let mut changed = plan.clone();
    changed.cells[0].size += 1;
    assert_eq!(changed.file_bytes(), Some(672 + 30_720 / 32 * 18 + 4 * (64 + 2048) + 32));
}

#[test]
fn a_size_is_of_the_whole_file() {
    // 672 + 8448 of the rest; 30,720 weights: at 22,000 bytes in all, 12,880 are too few for 17,280.
    let error = make_plan(&measured(1), &GGUF, &bits("22000B")).unwrap_err();
    let PlanError::Infeasible { limit, smallest, .. } = &error else { panic!("{error}") };
    assert_eq!((*limit, *smallest), (22_000 - 672 - 8448, 17_280));
    assert!(error.to_string().contains("--keep embedding=q8_0"), "{error}");
    let plan = make_plan(&measured(1), &GGUF, &bits("30kB")).unwrap();
    let file = plan.totals.file.unwrap();
    assert!(file <= 30_000 && file > 29_000, "{file}");
    // With the embedding as q8_0 it takes 34 bytes for 32 weights instead of 128.
    let plan = make_plan(&measured(1), &GGUF, &keeping("22kB", &["embedding=q8_0"])).unwrap();
    let embedding = plan.others.iter().find(|other| other.role == "embedding").unwrap();
    assert_eq!((embedding.stored.as_str(), embedding.bytes), ("q8_0", 2048 / 32 * 34));
    assert!(plan.totals.file.unwrap() <= 22_000);
    // Of other clients' files the header is not known: cells and other tensors together.
    let kl: Of<'_> = &|at, _| importance(at);
    let formats = ["quant-kl-int2", "quant-kl-int3", "quant-kl-int4", "quant-kl-int8"].map(|id| (id, kl));
    let plan = make_plan(&map(1, &formats), &INTEGERS, &bits("25kB")).unwrap();
    assert_eq!((plan.totals.file, plan.budget.limit), (None, 25_000 - 8448));
}

#[test]
fn a_share_is_of_what_cells_take_now() {
    // BF16: 2 bytes per weight.
    let plan = make_plan(&measured(1), &GGUF, &bits("30%")).unwrap();
    assert_eq!(plan.budget.limit, 30_720 * 2 * 3 / 10);
    let mut map = measured(1);
    map.grid.cells[0].dtype = "I32".to_owned();
    let error = make_plan(&map, &GGUF, &bits("30%")).unwrap_err().to_string();
    assert!(error.contains("what L0.attn.q takes now is not known: it is stored as I32"), "{error}");
}

#[test]
fn like_a_mix_takes_the_bytes_of_that_mix() {
    // q4_k_m on rows of 64 and 96: q5_0 (22 bytes for 32), q6_k falls back to q8_0 (34). Of one layer: 1/8 of 1 layer is 0, 7 * 1 / 8 = 0, so
    // the layer gets more bits: v and down are q8_0, 2048 and 6144 of 30,720 weights.
    let plan = make_plan(&measured(1), &GGUF, &bits("like:q4_k_m")).unwrap();
    assert_eq!(plan.budget.limit, (8192 * 34 + (30_720 - 8192) * 22) / 32);
    assert!(matches!(make_plan(&measured(1), &GGUF, &bits("like:q9")), Err(PlanError::Rule { .. })));
}

#[test]
fn wishes_hold() {
    let keep = ["attn.v>=q5_1", "L0-1.mlp<=q4_1", "L2.attn.o=q8_0"];
    let plan = make_plan(&measured(4), &GGUF, &keeping("6bpw", &keep)).unwrap();
    for (cell, stored) in plan.stored() {
        let bits = 8.0 * cell.size as f64 / cell.numel() as f64;
        match (cell.id.component, cell.id.layer) {
            (Component::AttnV, _) => assert!(bits >= 6.0, "{} {stored}", cell.id),
            (Component::MlpUp | Component::MlpDown | Component::MlpGate, 0 | 1) => {
                assert!(bits <= 5.0, "{} {stored}", cell.id)
            }
            (Component::AttnO, 2) => assert_eq!(stored.to_string(), "q8_0"),
            _ => {}
        }
    }
    let of_v = |text: &str| plan.stored().any(|(c, s)| c.id.component == Component::AttnV && s.to_string() == text);
    assert!(of_v("q5_1") && !of_v("q5_0"), "the bound itself is allowed");
    for (keep, reason) in [
        ("L9=q4_0", "layer that the model does not have"),
        ("attn.v>=f16", "none of the types is left for L0.attn.v"),
        ("head=q8_0", "shares the embedding"),
        ("attn.v=int4", "cannot store weights as int4"),
    ] {
        let error = make_plan(&measured(2), &GGUF, &keeping("6bpw", &[keep])).unwrap_err().to_string();
        assert!(error.contains(reason), "{keep}: {error}");
    }
    for keep in ["attn.v", "attn.z>=q4_0", "attn.v>=q4", ">=q4_0"] {
        assert!(keep.parse::<Keep>().is_err(), "{keep}");
    }
    assert_eq!("embedding, attn.v >= q5_0".parse::<Keep>().unwrap().to_string(), "embedding,attn.v>=q5_0");
}

#[test]
fn what_a_client_joins_is_stored_alike() {
    let kl = |bits: i32| move |at: usize, _: &tomo_map::Cell| importance(at) * 0.25_f64.powi(bits);
    let (two, three, four, eight) = (kl(2), kl(3), kl(4), kl(8));
    let columns: [(&str, Of<'_>); 4] =
        [("quant-kl-int2", &two), ("quant-kl-int3", &three), ("quant-kl-int4", &four), ("quant-kl-int8", &eight)];
    let map = map(4, &columns);
    let is_joined = |plan: &Plan| {
        let layers = text(plan).chunks(7).map(|s| (s[0] == s[1] && s[1] == s[2]) && s[4] == s[6]).collect::<Vec<_>>();
        layers.iter().all(|joined| *joined)
    };
    let joined = make_plan(&map, &FUSING, &bits("4bpw")).unwrap();
    let free = make_plan(&map, &INTEGERS, &bits("4bpw")).unwrap();
    let wished = make_plan(&map, &INTEGERS, &Options { fuse: true, ..bits("4bpw") }).unwrap();
    assert!(is_joined(&joined) && joined.fused && !is_joined(&free) && !free.fused);
    assert!(is_joined(&wished) && wished.fused);
    assert!(free.totals.cost < joined.totals.cost, "a tie cannot make a plan cheaper");
    let error = make_plan(&map, &FUSING, &keeping("4bpw", &["attn.q=int2:g32", "attn.k=int8:g32"])).unwrap_err();
    assert!(error.to_string().contains("L0.attn.q, L0.attn.k, L0.attn.v are stored alike"), "{error}");
}

#[test]
fn cells_of_one_tensor_are_stored_alike() {
    let mut map = measured(3);
    let inventory = map.inventory.as_mut().unwrap();
    for layer in 0..3 {
        for at in 0..3 {
            inventory.cells[7 * layer + at].gguf = Some(format!("blk.{layer}.attn_qkv.weight"));
        }
    }
    let plan = make_plan(&map, &GGUF, &bits("5.5bpw")).unwrap();
    for s in text(&plan).chunks(7) {
        assert!(s[0] == s[1] && s[1] == s[2], "{s:?}");
    }
    assert!(!plan.fused);
}

#[test]
fn rows_that_are_no_blocks_cost_and_take_what_they_fall_back_to() {
    // Rows of 64: q4_k is stored as q5_0, and q5_k as q5_1.
    let options =
        Options { types: ["q4_k", "q5_0", "q5_k"].iter().map(|t| t.parse().unwrap()).collect(), ..bits("5.5bpw") };
    let plan = make_plan(&measured(1), &GGUF, &options).unwrap();
    assert!(text(&plan).iter().all(|stored| stored == "q5_0"));
    assert_eq!(plan.totals.cells, 30_720 / 32 * 22);
}

#[test]
fn types_and_budgets_that_make_no_sense_are_refused() {
    let typed = |text: &str| Options { types: vec![text.parse::<Stored>().unwrap()], ..bits("5bpw") };
    let error = make_plan(&measured(1), &GGUF, &typed("int4:g32")).unwrap_err().to_string();
    assert!(error.contains("test-gguf cannot store weights as int4:g32") && error.contains("q6_k"), "{error}");
    let error = make_plan(&measured(1), &GGUF, &bits("2bpw")).unwrap_err().to_string();
    assert!(error.contains("smallest possible: 17280 bytes"), "{error}");
    assert!(matches!(make_plan(&measured(1), &GGUF, &bits("rank:4")), Err(PlanError::BudgetKind { .. })));
}

#[test]
fn a_map_without_names_says_so_in_the_plan() {
    let mut map = measured(1);
    map.inventory = None;
    let plan = make_plan(&map, &GGUF, &bits("5bpw")).unwrap();
    assert!(plan.about.notes[0].contains("names no tensors"), "{:?}", plan.about.notes);
    assert_eq!(plan.totals.file, None);
    assert!(plan.cells.iter().all(|cell| matches!(cell.choice, Choice::Stored(_))));
}

#[test]
fn rows_that_no_type_fits_stay_as_they_are() {
    let kl: Of<'_> = &|at, _| importance(at);
    let mut map = map(1, &[("quant-kl-int4", kl)]);
    map.provenance.group = Some(64);
    let options = Options { types: vec!["int4:g64".parse().unwrap()], ..bits("16bpw") };
    let plan = make_plan(&map, &INTEGERS, &options).unwrap();
    for (cell, stored) in plan.stored() {
        // Rows of 96 weights are no whole groups of 64, and cost nothing.
        let left = cell.id.component == Component::MlpDown;
        assert_eq!(stored.to_string(), if left { "original:16" } else { "int4:g64" }, "{}", cell.id);
        assert_eq!(cell.cost == 0.0, left);
    }
}

/// A layer with two experts in place of its MLP, each a tensor of its own.
fn mixture() -> tomo_map::Map {
    let mut map = measured(1);
    map.provenance.group = Some(32);
    let dense: Vec<tomo_map::Cell> = map.grid.cells.drain(4..).collect();
    let inventory = map.inventory.as_mut().unwrap();
    inventory.cells.truncate(4);
    for cell in dense {
        for expert in 0..2 {
            let id = tomo_map::CellId { expert: Some(expert), ..cell.id };
            map.grid.cells.push(tomo_map::Cell { id, ..cell.clone() });
            inventory.cells.push(tomo_map::Names { gguf: None, hugging_face: Some(format!("{id}.weight")) });
        }
    }
    map.columns.clear();
    for (format, squared) in [("int2", 0.25), ("int3", 0.06), ("int4", 0.015), ("int8", 0.0001)] {
        let scores = (0..10).map(|at| tomo_map::Score::from_value(importance(at) * squared));
        let info = crate::samples::info(&format!("quant-kl-{format}"));
        map.columns.push(tomo_map::Column::new(info, scores.collect()));
    }
    map
}

#[test]
fn experts_of_a_projection_are_stored_alike_and_all_of_them_where_a_client_joins() {
    let map = mixture();
    let free = make_plan(&map, &INTEGERS, &bits("4.5bpw")).unwrap();
    assert_eq!(free.ties(), [vec![0], vec![1], vec![2], vec![3], vec![4, 5], vec![6, 7], vec![8, 9]]);
    let stored = text(&free);
    assert!(free.ties().iter().all(|tied| tied.iter().all(|at| stored[*at] == stored[tied[0]])), "{stored:?}");
    let joined = make_plan(&map, &FUSING, &bits("4.5bpw")).unwrap();
    let stored = text(&joined);
    assert!(stored[4..].iter().all(|one| *one == stored[4]) && stored[0] == stored[2], "{stored:?}");
}
