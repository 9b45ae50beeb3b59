//! The language of changes: what texts mean, what they hit, what is refused; and what edits make of weights.

use std::sync::Arc;

use proptest::prelude::*;
use tomo_checkpoint::Config;
use tomo_map::{CellId, Component};
use tomo_model::change::{
    ChangeError, Changes, Defaults, EDITS, Edit, EditContext, Entry, MeanOutput, Means, Quantization, Rank, Selection,
};
use tomo_model::engine::{CellWeights, Change, Engine, EngineOptions, OutputChange, Until, Unwatched};
use tomo_model::{Model, OpenOptions};
use tomo_testkit::{LlamaDims, MemorySource, Within, assert_close, llama_source};

use crate::parity::Reference;
use crate::source::{fixtures, read_safetensors};

const DEFAULTS: Defaults = Defaults { group: 128, seed: 5 };

fn tiny() -> Arc<Model> {
    open(llama_source(LlamaDims::TINY))
}

fn open(source: MemorySource) -> Arc<Model> {
    Arc::new(Model::open(Arc::new(source), &OpenOptions::default()).unwrap())
}

fn fixture(case: &str) -> Arc<Model> {
    let source = tomo_checkpoint::open(&fixtures().join("parity").join(case)).unwrap();
    Arc::new(Model::open(source, &OpenOptions::default()).unwrap())
}

/// Names of the cells that `text` selects.
fn selected(model: &Model, text: &str) -> Result<Vec<String>, ChangeError> {
    let cells = text.parse::<Selection>()?.cells(model.grid())?;
    Ok(cells.into_iter().map(|at| model.cells()[at].id.to_string()).collect())
}

#[test]
fn selections_select() {
    let model = tiny();
    let count = |text: &str| selected(&model, text).unwrap().len();
    assert_eq!(selected(&model, "L1.mlp.down").unwrap(), ["L1.mlp.down"]);
    assert_eq!(selected(&model, "attn.v").unwrap(), ["L0.attn.v", "L1.attn.v"]);
    assert_eq!(selected(&model, "L1.attn").unwrap(), ["L1.attn.q", "L1.attn.k", "L1.attn.v", "L1.attn.o"]);
    assert_eq!(selected(&model, "L0-1.mlp.gate").unwrap(), ["L0.mlp.gate", "L1.mlp.gate"]);
    assert_eq!(selected(&model, "mlp.up, L0.attn.q").unwrap(), ["L0.attn.q", "L0.mlp.up", "L1.mlp.up"]);
    assert_eq!((count("all"), count("L0"), count("mlp"), count("L0,L0-1")), (14, 7, 6, 14));
    let mixture = fixture("mixtral");
    let experts = mixture.grid().cells.iter().filter_map(|c| c.id.expert).max().unwrap() + 1;
    assert_eq!(selected(&mixture, "L1.mlp.down").unwrap().len(), experts as usize, "a component is all of its experts");
    assert_eq!(selected(&mixture, "L1.mlp.down.e1").unwrap(), ["L1.mlp.down[1]"]);
    assert_eq!(selected(&mixture, "L1.e1").unwrap(), ["L1.mlp.up[1]", "L1.mlp.down[1]", "L1.mlp.gate[1]"]);
    // As maps write it.
    assert_eq!(selected(&mixture, "L1.mlp.down[1]").unwrap(), ["L1.mlp.down[1]"]);
}

#[test]
fn texts_have_one_spelling() {
    for (text, canonical) in [
        ("L12.mlp.down=int3", "L12.mlp.down=int3"),
        (" attn.v , L2 = zero ", "attn.v,L2=zero"),
        ("L3-L7.mlp=q4_0", "L3-7.mlp=q4_0"),
        ("L3-3=mean", "L3=mean"),
        ("L1.mlp.up[3]=resample", "L1.mlp.up.e3=resample"),
        ("all=int3:g064", "all=int3:g64"),
        ("all=noise:0.10", "all=noise:0.1"),
        ("all=noise:1e-2:seed=3", "all=noise:0.01:seed=3"),
        ("all=rank:032", "all=rank:32"),
        ("all=rank:.50", "all=rank:0.5"),
        ("all=rank:1.", "all=rank:1.0"),
        ("all=patch", "all=patch"),
        ("all=nf4;L5=restored;", "all=nf4; L5=restored"),
    ] {
        let changes: Changes = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(changes.to_string(), canonical);
        assert_eq!(canonical.parse::<Changes>().unwrap(), changes, "{text}");
    }
    assert_eq!("rank:1".parse::<Edit>().unwrap(), Edit::Rank(Rank::Count(1)), "one value");
    assert_eq!("rank:1.0".parse::<Edit>().unwrap(), Edit::Rank(Rank::Share(1.0)), "all of them");
    let id = CellId { layer: 3, component: Component::MlpUp, expert: Some(2) };
    assert_eq!(Selection::cell(id).to_string(), "L3.mlp.up.e2");
}

#[test]
fn what_is_no_change_is_refused_with_a_hint() {
    for (text, phrases) in [
        ("L12.mlp.down", &["\"L12.mlp.down\"", "SELECTION=EDIT", "hint"][..]),
        ("", &["SELECTION=EDIT"]),
        ("=int3", &["\"\"", "L12"]),
        ("L1.mlp.dwon=int3", &["L1.mlp.dwon", "did you mean mlp.down"]),
        ("l1.mlp.down=int3", &["\"l1.mlp.down\""]),
        ("L1..down=int3", &["L1..down"]),
        ("L1.mlp.down.e=int3", &["L1.mlp.down.e"]),
        ("L7-3=int3", &["L7-3"]),
        ("L-1=int3", &["L-1"]),
        ("L99999999999=int3", &["L99999999999"]),
        ("L1,=int3", &["\"\""]),
        ("mlp.down.e3.e4=int3", &["mlp.down.e3.e4"]),
        ("alle=int3", &["did you mean all"]),
        ("all=zeros", &["no edit is called \"zeros\"", "did you mean zero"]),
        ("all=int9", &["no edit is called \"int9\"", "int4"]),
        ("all=", &["no edit is called \"\"", "resample"]),
        ("all=zero:1", &["\"zero:1\"", "expected: zero"]),
        ("all=int3:64", &["int3:gN"]),
        ("all=int3:g0", &["int3:gN"]),
        ("all=q4_0:g64", &["\"q4_0:g64\"", "expected: q4_0"]),
        ("all=noise", &["noise:T"]),
        ("all=noise:-1", &["noise:T"]),
        ("all=noise:0", &["noise:T"]),
        ("all=noise:nan", &["noise:T"]),
        ("all=noise:inf", &["noise:T"]),
        ("all=noise:.1:3", &["seed=N"]),
        ("all=noise:.1:seed=3:seed=4", &["seed=N"]),
        ("all=rank:0", &["rank:R"]),
        ("all=rank:1.5", &["rank:R or rank:SHARE"]),
        ("all=rank:-1", &["rank:R"]),
        ("all=rank:", &["rank:R"]),
        ("all=FORMAT", &["no edit is called"]),
        ("all=a\u{1b}[31m", &["\\u{1b}[31m"]),
    ] {
        let error = text.parse::<Changes>().expect_err(text).to_string();
        for phrase in phrases {
            assert!(error.contains(phrase), "{text}: no {phrase:?} in\n{error}");
        }
        assert!(!error.contains('\u{1b}'));
    }
}

#[test]
fn what_the_model_has_not_is_said() {
    let (dense, mixture, ungated) = (tiny(), fixture("mixtral"), fixture("gpt2"));
    let refusal = |model: &Model, text: &str| selected(model, text).expect_err(text).to_string();
    let cases = [
        (refusal(&dense, "L2.attn.q"), &["L2.attn.q", "expected: 0 to 1", "found: 2"][..]),
        (refusal(&dense, "L1-30"), &["L1-30", "found: 30"]),
        (refusal(&dense, "mlp.up,L5"), &["L5", "found: 5"]),
        (refusal(&dense, "mlp.down.e3"), &["mlp.down.e3", "no experts"]),
        (refusal(&dense, "e0"), &["no experts"]),
        (refusal(&mixture, "mlp.down.e99"), &["experts e0 to e"]),
        (refusal(&mixture, "attn.q.e0"), &["no experts"]),
        (refusal(&ungated, "mlp.gate"), &["mlp.gate", "ungated"]),
    ];
    for (error, phrases) in cases {
        for phrase in phrases {
            assert!(error.contains(phrase), "no {phrase:?} in\n{error}");
        }
    }
}

#[test]
fn the_last_word_on_a_cell_counts() {
    let model = tiny();
    let of = |text: &str| -> Vec<(String, String)> {
        let cells = text.parse::<Changes>().unwrap().cells(model.grid()).unwrap();
        cells.into_iter().map(|(at, edit)| (model.cells()[at].id.to_string(), edit.to_string())).collect()
    };
    let everything = of("all=int3; L1=restored");
    assert_eq!(everything.len(), 7);
    assert!(everything.iter().all(|(cell, edit)| cell.starts_with("L0.") && edit == "int3"));
    assert_eq!(
        of("L1.attn=zero; attn.q=mean; L0=restored"),
        [
            ("L1.attn.q".to_owned(), "mean".to_owned()),
            ("L1.attn.k".to_owned(), "zero".to_owned()),
            ("L1.attn.v".to_owned(), "zero".to_owned()),
            ("L1.attn.o".to_owned(), "zero".to_owned()),
        ]
    );
    assert!(of("all=zero; all=restored").is_empty());
    assert_eq!(of("all=restored; L0.attn.q=zero").len(), 1, "there is nothing to undo yet");
    let settled = "all=int3; L0=noise:0.1; L1=nf4; attn=int4:g32".parse::<Changes>().unwrap().settled(&DEFAULTS);
    assert_eq!(settled.texts(), ["all=int3:g128", "L0=noise:0.1:seed=5", "L1=nf4", "attn=int4:g32"]);
}

#[test]
fn edits_have_manuals() {
    for kind in EDITS {
        let manual = tomo_map::manual(kind.source);
        let headings: Vec<&str> = manual.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(headings, ["# What it does", "# Algorithm", "# Misleads when", "# Source"], "{}", kind.id);
    }
}

fn any_selection() -> impl Strategy<Value = String> {
    let layers = prop_oneof![
        Just(String::new()),
        (0..40_u32).prop_map(|l| format!("L{l}")),
        (0..40_u32, 1..9_u32).prop_map(|(l, n)| format!("L{l}-{}", l + n))
    ];
    let components = Component::ALL.map(|c| c.id().to_owned());
    let words = components.into_iter().chain(["", "attn", "mlp"].map(str::to_owned)).collect::<Vec<_>>();
    let expert = prop::option::of(0..200_u32);
    let part = (layers, prop::sample::select(words), expert).prop_map(|(layers, word, expert)| {
        let expert = expert.map_or(String::new(), |e| format!("e{e}"));
        let words: Vec<String> = [layers, word, expert].into_iter().filter(|w| !w.is_empty()).collect();
        if words.is_empty() { "all".to_owned() } else { words.join(".") }
    });
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(","))
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let formats = prop::sample::select(tomo_quant::FORMATS.iter().map(|f| Quantization(f)).collect::<Vec<_>>());
    prop_oneof![
        prop::sample::select(vec![Edit::Zero, Edit::Mean, Edit::Resample, Edit::Patch, Edit::Restored]),
        (formats, prop::option::of(1..4096_usize)).prop_map(|(format, group)| {
            let group = group.filter(|_| format.0.takes_group());
            Edit::Format { format, group }
        }),
        (1e-300..1e300_f64, prop::option::of(any::<u64>())).prop_map(|(size, seed)| Edit::Noise { size, seed }),
        (1..100_000_usize).prop_map(|count| Edit::Rank(Rank::Count(count))),
        (1e-300..=1.0_f64).prop_map(|share| Edit::Rank(Rank::Share(share))),
    ]
}

proptest! {
    #[test]
    fn a_change_is_read_as_it_was_written(selection in any_selection(), edit in any_edit()) {
        let entry: Entry = format!("{selection}={edit}").parse().unwrap();
        prop_assert_eq!(&entry.edit, &edit);
        prop_assert_eq!(entry.selection.to_string(), selection);
        prop_assert_eq!(entry.to_string().parse::<Entry>().unwrap(), entry);
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,40}", tail in "[L0-9a-z.:=,e\\[\\]-]{0,30}") {
        let _ = text.parse::<Changes>();
        let _ = tail.parse::<Changes>();
        let _ = format!("{tail}={text}").parse::<Changes>();
    }
}

fn context<'a>(model: &'a Model, against: Option<&'a Arc<Model>>) -> EditContext<'a> {
    EditContext { model, against, means: None, sequences: 2, defaults: DEFAULTS }
}

/// What `edit` makes of `weights` in place of cell number `cell`.
fn rewritten(context: &EditContext<'_>, cell: usize, edit: &str, weights: &[f32], cols: usize) -> Vec<f32> {
    let made = context.make(cell, &edit.parse().unwrap()).unwrap();
    let Some(Change::Weights(rewrite)) = made.change else { panic!("{edit} rewrites nothing") };
    let mut out = vec![f32::NAN; weights.len()];
    rewrite.rewrite(&CellWeights { cell, values: weights, cols }, &mut out).unwrap();
    out
}

/// Matrices that `tools/reference/quant.py` had rounded by torch, the gguf package and bitsandbytes, in groups of 128.
#[test]
fn formats_make_what_their_references_make() {
    let tensors = read_safetensors(&fixtures().join("quant/reference.safetensors"));
    let model = tiny();
    for edit in ["int3", "int2-sym", "nf4", "q4_0", "fp8"] {
        for case in ["gauss", "outlier", "bf16"] {
            let (shape, weights) = &tensors[&format!("in/{case}")];
            let (_, expected) = &tensors[&format!("{edit}/{case}")];
            assert_eq!(
                &rewritten(&context(&model, None), 0, edit, weights, shape[1] as usize),
                expected,
                "{edit} {case}"
            );
        }
    }
    // 12 columns are no blocks of 32 either, so q5_0 will not do in its place.
    let made = context(&model, None).make(0, &"q4_k".parse().unwrap()).unwrap();
    let note = made.note.unwrap_or_default();
    assert!(note.contains("rows of 12") && note.contains("f16 instead"), "{note}");
    // Groups of 2: 0 and 6 are 3 steps of 2 apart at 2 bits; 1 is half a step, and ties go to even.
    let weights = [0.0, 6.0, 1.0, 6.0, 4.4, 6.0];
    assert_eq!(rewritten(&context(&model, None), 0, "int2:g2", &weights, 6), [0.0, 6.0, 0.0, 6.0, 4.0, 6.0]);
}

/// W = 8 h1 h1^T + 4 h2 h2^T + 2 h3 h3^T, the h being rows of the Hadamard matrix of order 4, of length 2; so its singular values
/// are 32, 16, 8 and 0, and the best approximations are its first terms.
#[test]
fn low_ranks_are_the_first_terms() {
    const H: [[f32; 4]; 3] = [[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]];
    let sum = |terms: usize| -> Vec<f32> {
        let entry = |i: usize, j: usize| (0..terms).map(|t| [8.0, 4.0, 2.0][t] * H[t][i] * H[t][j]).sum();
        (0..16).map(|at| entry(at / 4, at % 4)).collect()
    };
    let model = tiny();
    let of = |edit| rewritten(&context(&model, None), 0, edit, &sum(3), 4);
    assert_close(of("rank:1"), sum(1), Within::Absolute(1e-5));
    assert_close(of("rank:2"), sum(2), Within::Absolute(1e-5));
    assert_close(of("rank:3"), sum(3), Within::Absolute(1e-5));
    // Wide and tall: rank one already, so that nothing is lost.
    let wide = [1.0, 2.0, 3.0, 4.0, 2.0, 4.0, 6.0, 8.0];
    assert_close(rewritten(&context(&model, None), 0, "rank:1", &wide, 4), wide, Within::Absolute(1e-5));
    let tall = [1.0, 2.0, 2.0, 4.0, 3.0, 6.0, 4.0, 8.0];
    assert_close(rewritten(&context(&model, None), 0, "rank:1", &tall, 2), tall, Within::Absolute(1e-5));
    // attn.q of the tiny model is 16 x 12: a half is 6 of 12, and 12 is everything.
    for (edit, rank) in [("rank:0.5", 6), ("rank:0.01", 1), ("rank:0.45", 5), ("rank:11", 11)] {
        let Edit::Rank(found) = edit.parse().unwrap() else { panic!() };
        assert_eq!(found.of(12), rank, "{edit}");
    }
    for edit in ["rank:12", "rank:1.0", "rank:500"] {
        let made = context(&model, None).make(0, &edit.parse().unwrap()).unwrap();
        assert!(made.change.is_none() && made.note.unwrap().contains("all 12 singular values"), "{edit}");
    }
}

#[test]
fn noise_has_its_size_and_depends_on_seed_and_cell_alone() {
    let model = tiny();
    let weights: Vec<f32> = (0..200_000).map(|i| if i % 2 == 0 { 3.0 } else { -1.0 }).collect();
    // RMS sqrt(5).
    let of = |cell, edit| -> Vec<f64> {
        let out = rewritten(&context(&model, None), cell, edit, &weights, 1000);
        out.iter().zip(&weights).map(|(out, w)| f64::from(out - w) / (0.1 * 5.0_f64.sqrt())).collect()
    };
    let noise = of(0, "noise:0.1");
    let moment = |power: i32| noise.iter().map(|z| z.powi(power)).sum::<f64>() / noise.len() as f64;
    // Standard errors of the first four moments: 1, sqrt 2, sqrt 15, sqrt 96 over sqrt 200,000.
    for (power, expected, error) in [(1, 0.0, 1.0), (2, 1.0, 1.42), (3, 0.0, 3.88), (4, 3.0, 9.8)] {
        let off = (moment(power) - expected).abs();
        assert!(off < 4.0 * error / 200_000.0_f64.sqrt(), "moment {power} is off by {off}");
    }
    let serial: f64 = noise.windows(2).map(|z| z[0] * z[1]).sum::<f64>() / noise.len() as f64;
    assert!(serial.abs() < 4.0 / 200_000.0_f64.sqrt(), "{serial}");
    assert_eq!(noise, of(0, "noise:0.1:seed=5"), "the default");
    let differ = |a: &[f64], b: &[f64]| a.iter().zip(b).filter(|(a, b)| a != b).count() > 190_000;
    assert!(differ(&noise, &of(0, "noise:0.1:seed=6")) && differ(&noise, &of(1, "noise:0.1")));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(noise, one.install(|| of(0, "noise:0.1")), "threads do not matter");
    let same: f64 = of(1, "noise:0.1").iter().zip(&noise).map(|(a, b)| a * b).sum::<f64>() / 200_000.0;
    assert!(same.abs() < 4.0 / 200_000.0_f64.sqrt(), "{same}");
}

/// A cell of another seed's model, and of models that do not fit.
#[test]
fn patches_take_the_same_cell() {
    let source = llama_source(LlamaDims::TINY);
    let (own, name) = (open(source.clone()), "model.layers.1.mlp.up_proj.weight");
    let values: Vec<f32> = (0..240).map(|i| i as f32).collect();
    let other = open(source.clone().with(name, &[20, 12], values.clone()));
    let at = own.cells().iter().position(|c| c.tensor == name).unwrap();
    assert_eq!(rewritten(&context(&own, Some(&other)), at, "patch", &[0.0; 240], 12), values);
    let refusal = |against: Option<&Arc<Model>>| {
        context(&own, against).make(at, &Edit::Patch).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(refusal(None).contains("--against"), "{}", refusal(None));
    let wide = open(llama_source(LlamaDims { ffn: 24, ..LlamaDims::TINY }));
    assert!(refusal(Some(&wide)).contains("expected: 20 x 12") && refusal(Some(&wide)).contains("found: 24 x 12"));
    let shallow = open(llama_source(LlamaDims { layers: 1, ..LlamaDims::TINY }));
    assert!(refusal(Some(&shallow)).contains("no such cell"));
    let broken =
        open(source.with(name, &[20, 12], values.iter().map(|x| if *x == 25.0 { f32::NAN } else { *x }).collect()));
    let made = context(&own, Some(&broken)).make(at, &Edit::Patch).unwrap();
    let Some(Change::Weights(rewrite)) = made.change else { panic!() };
    let weights = CellWeights { cell: at, values: &[0.0; 240], cols: 12 };
    let error = rewrite.rewrite(&weights, &mut [0.0; 240]).unwrap_err().to_string();
    assert!(error.contains("row 2, column 1 of L1.mlp.up"), "{error}");
}

/// Means of the outputs that transformers recorded, with biases and experts.
#[test]
fn means_are_those_of_recorded_outputs() {
    for case in ["llama", "qwen2", "gpt2", "mixtral"] {
        let folder = fixtures().join("parity").join(case);
        let reference = Reference::read(&folder);
        let model = fixture(case);
        let options = EngineOptions { threads: Some(2), memory_bytes: Some(1 << 30), ..EngineOptions::default() };
        let engine = Engine::new(Arc::clone(&model), model.architecture().unwrap(), options).unwrap();
        let lengths: Vec<usize> = reference.sequences.iter().map(Vec::len).collect();
        let edits: Vec<(usize, Edit)> = (0..model.cells().len()).map(|at| (at, Edit::Mean)).collect();
        let means = Means::needed(&model, &edits, lengths.len()).unwrap();
        let plan = engine.plan(&lengths, &[&means], means.bytes(), Until::LastBlock).unwrap();
        engine.forward(&reference.sequences, &[&means], &plan, Until::LastBlock, &Unwatched).unwrap();
        let (mut rows, mut empty) = (0, 0);
        for (at, cell) in model.cells().iter().enumerate() {
            let width = cell.out_features as usize;
            let taps = (0..2).filter_map(|s| reference.tensors.get(&format!("{}.out.{s}", name_of(cell.id))));
            let all: Vec<f64> = taps.flatten().copied().collect();
            let tokens = all.len() / width;
            let made = EditContext { means: Some(&means), ..context(&model, None) }.make(at, &Edit::Mean).unwrap();
            if tokens == 0 {
                assert!(made.change.is_none() && made.note.is_some() && means.of(at) == Some(MeanOutput::NoToken));
                empty += 1;
                continue;
            }
            let expected: Vec<f64> =
                (0..width).map(|j| all.iter().skip(j).step_by(width).sum::<f64>() / tokens as f64).collect();
            let Some(Change::Output(OutputChange::Constant(row))) = made.change else { panic!("{}", cell.id) };
            assert_close(&*row, &*expected, Within::RelativeNorm(1e-5));
            rows += 1;
        }
        assert!(rows > 8 && rows + empty == model.cells().len(), "{case}: {rows} {empty}");
    }
}

/// As the fixtures name taps.
fn name_of(cell: CellId) -> String {
    cell.to_string()
}

#[test]
fn what_an_edit_needs_is_said() {
    let (dense, mixture) = (tiny(), fixture("mixtral"));
    let expert = mixture.cells().iter().position(|c| c.id.expert.is_some()).unwrap();
    let refusal = |context: EditContext<'_>, cell, edit: &Edit| context.make(cell, edit).err().unwrap().to_string();
    let alone = EditContext { sequences: 1, ..context(&dense, None) };
    assert!(refusal(alone, 0, &Edit::Resample).contains("one sequence"));
    assert!(refusal(context(&mixture, None), expert, &Edit::Resample).contains("expert"));
    assert!(refusal(context(&dense, None), 0, &Edit::Mean).contains("L0.attn.q cannot be set to mean"));
    // Notes are gathered: one sentence for all cells.
    let edits: Vec<_> = (0..14).map(|at| (at, Edit::Rank(Rank::Share(1.0)))).collect();
    let made = context(&dense, None).variant(&edits).unwrap();
    assert!(made.variant.changes.is_empty());
    assert_eq!(made.notes.iter().map(|n| n.cells.len()).sum::<usize>(), 14);
    assert!(made.notes[0].to_string().contains("more)"), "{}", made.notes[0]);
}

#[test]
fn a_bare_checkpoint_can_be_selected_from() {
    // No config, so no layer count but what the names say.
    let source = llama_source(LlamaDims::TINY);
    let mut bare = MemorySource::new(Config::Absent);
    for tensor in tomo_checkpoint::Source::tensors(&source) {
        bare = bare.with(&tensor.name, &tensor.shape, source.values(&tensor.name).unwrap().to_vec());
    }
    assert_eq!(selected(&open(bare), "L1.attn.o").unwrap(), ["L1.attn.o"]);
}
