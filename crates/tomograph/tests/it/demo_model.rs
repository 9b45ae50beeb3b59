//! The trained model: its files, how it was trained, and that it learnt something.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tomograph::cli::Exit;

use crate::demo_program::adamw::{AdamW, Gradients, clip};
use crate::demo_program::model::{Tensor, Weights};
use crate::demo_program::ngram::Ngram;
use crate::demo_program::texts::{self, Side};
use crate::demo_program::{model, ngram};
use crate::harness::run;

const KINDS: [&str; 3] = ["prose", "sample", "sums"];

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/demo").join(name)
}

fn learnt() -> Side {
    texts::training(texts::SEED, texts::TRAINING_PROSE, texts::TRAINING_SUMS)
}

fn held_out() -> Side {
    texts::held_out(texts::SEED, texts::HELD_OUT_PROSE, texts::HELD_OUT_SUMS)
}

/// Mean negative log likelihood of the held-out texts of each kind, by the command line.
fn nlls(checkpoint: &str) -> [f64; 3] {
    let folder = tempfile::tempdir().unwrap();
    let side = held_out();
    [&side.generated, &side.sample, &side.sums].map(|documents| {
        let path = folder.path().join("tokens.json");
        fs::write(&path, json!(texts::windows(documents)).to_string()).unwrap();
        let args = [demo(checkpoint).into_os_string(), "--token-ids".into(), path.into_os_string(), "--json".into()];
        let found = run([vec!["perplexity".into()], args.to_vec()].concat()).ended(Exit::Success);
        found.json()["nll"].as_f64().unwrap()
    })
}

#[test]
fn the_trained_model_beats_trigrams_and_tuning_taught_it_sums() {
    let trigrams = ngram::nlls(&learnt(), &held_out(), 3);
    let (base, tuned) = (nlls("base"), nlls("tuned"));
    // Well below: the margin is in nats per byte.
    assert!(base[0] < trigrams[0] - 0.5, "prose: {base:?}, trigrams {trigrams:?}");
    assert!(base[1] < trigrams[1], "sample: {base:?}, trigrams {trigrams:?}");
    assert!(tuned[2] < base[2] - 0.5 && tuned[2] < trigrams[2], "sums: {tuned:?}, {base:?}, trigrams {trigrams:?}");
}

/// tools/reference/demo.py computed the reference.
#[test]
fn losses_are_those_of_transformers_and_of_the_curve() {
    let reference: Value = serde_json::from_slice(&fs::read(demo("transformers.json")).unwrap()).unwrap();
    let curve = fs::read_to_string(demo("curve.csv")).unwrap();
    for checkpoint in ["base", "tuned"] {
        let found = nlls(checkpoint);
        let last = curve.lines().rfind(|l| l.starts_with(checkpoint)).unwrap();
        let curve: Vec<f64> = last.split(',').skip(3).map(|n| n.parse().unwrap()).collect();
        for (i, kind) in KINDS.iter().enumerate() {
            let expected = reference[checkpoint][kind].as_f64().unwrap();
            assert!(
                (found[i] - expected).abs() <= 1e-5 * expected,
                "{checkpoint}, {kind}: {} for {expected}",
                found[i]
            );
            assert!((found[i] - curve[i]).abs() <= 1e-4, "{checkpoint}, {kind}: {} beside {}", found[i], curve[i]);
        }
    }
}

#[test]
fn what_is_held_out_is_what_the_program_holds_out_and_was_not_learnt() {
    let (learnt, held_out) = (learnt(), held_out());
    let kinds =
        [(&learnt.generated, &held_out.generated), (&learnt.sample, &held_out.sample), (&learnt.sums, &held_out.sums)];
    for (name, (learnt, held_out)) in KINDS.iter().zip(kinds) {
        let lines = fs::read_to_string(demo(&format!("{name}.jsonl"))).unwrap();
        let stored: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let stored: Vec<&str> = stored.iter().map(|l| l["text"].as_str().unwrap()).collect();
        assert_eq!(&stored, held_out, "{name}");
        assert!(held_out.iter().all(|document| !learnt.contains(document)), "{name}: a document is on both sides");
    }
}

#[test]
fn the_tokenizer_has_a_token_per_byte() {
    let side = held_out();
    for checkpoint in ["base", "tuned"] {
        let tokenizer = tomograph::text::Tokenizer::from_file(&demo(checkpoint).join("tokenizer.json")).unwrap();
        for document in side.sample.iter().chain(&side.generated) {
            let bytes: Vec<u32> = document.bytes().map(u32::from).collect();
            assert_eq!(tokenizer.encode(document).unwrap(), bytes);
        }
        assert_eq!(tokenizer.encode("<|endoftext|>").unwrap(), [texts::SEPARATOR]);
        assert_eq!(tokenizer.vocab_size(), texts::VOCAB as u64);
    }
}

/// Probabilities by nltk 3.10.4: `KneserNeyInterpolated(3, discount=0.75)`, which takes nothing off single letters.
#[test]
fn n_grams_are_those_of_nltk() {
    let tokens = |text: &str| -> Vec<u32> { text.bytes().map(u32::from).collect() };
    let text = "abracadabra, abba and a cab: abracadabra again";
    let model = Ngram::with_discounts(&tokens(text), vec![0.0, 0.75, 0.75]);
    for (context, letter, expected) in NLTK {
        let found = model.probability(&tokens(context), tokens(letter)[0]);
        assert!((found - expected).abs() <= 1e-10, "{letter:?} after {context:?}: {found} for {expected}");
    }
}

const NLTK: [(&str, &str, f64); 10] = [
    ("ab", "r", 0.577_332_427_536),
    ("ab", "b", 0.089_560_688_406),
    ("br", "a", 0.896_059_782_609),
    ("a ", "c", 0.121_376_811_594),
    ("zz", "a", 0.260_869_565_217),
    ("za", "b", 0.230_978_260_87),
    ("ca", "d", 0.448_822_463_768),
    ("ra", "c", 0.348_675_271_739),
    (" a", "b", 0.388_586_956_522),
    ("da", "n", 0.024_116_847_826),
];

/// Three steps by `torch.optim.AdamW` 2.15 (betas .9 and .95) after `clip_grad_norm_` to 1, in float32; the vector has no decay.
#[test]
fn steps_are_those_of_torch() {
    let tensor = |shape: &[usize], values: &[f32]| Tensor { shape: shape.to_vec(), values: values.to_vec() };
    let mut weights = Weights::from([
        ("w".to_owned(), tensor(&[2, 3], &[0.5, -1.25, 2.0, 0.03125, -0.75, 1.5])),
        ("n".to_owned(), tensor(&[2], &[1.0, 0.875])),
    ]);
    let steps: [(f64, f64, [f32; 6], [f32; 2]); 3] = [
        (0.01, 2.110_094_8, [0.1, -0.2, 0.3, 0.0, 1e-6, -2.0], [0.5, -0.25]),
        (0.02, 1.165_386_2, [0.2, 0.2, -0.1, 0.05, 0.0, 1.0], [-0.5, -0.125]),
        (0.005, 2.117_191_6, [-0.4, 0.1, 0.0, 0.0, -3e-6, 0.5], [0.25, 2.0]),
    ];
    let mut optimizer = AdamW::default();
    for (rate, norm, w, n) in steps {
        // Twice the gradient, of two tokens.
        let twice = |values: &[f32]| values.iter().map(|g| 2.0 * g).collect();
        let mut gradients = Gradients::from([("w".to_owned(), twice(&w)), ("n".to_owned(), twice(&n))]);
        let found = clip(&mut gradients, 0.5, 1.0);
        assert!((found - norm).abs() <= 1e-6 * norm, "{found} for {norm}");
        optimizer.step(&mut weights, &gradients, rate, 0.1);
    }
    let expected = [0.470_516_35, -1.244_149_1, 1.978_488_7, 0.013_571_53, -0.768_173_64, 1.504_072_1];
    let close = |found: &[f32], expected: &[f32]| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6, "{found} for {expected}");
        }
    };
    close(&weights["w"].values, &expected);
    close(&weights["n"].values, &[0.996_994_26, 0.902_499_56]);
}

#[test]
fn the_residual_stream_begins_at_its_size() {
    let weights = model::initial(1);
    let deviation = |name: &str| {
        let values = &weights[name].values;
        (values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    };
    // 1 / sqrt(64), and with 1 / sqrt(2 * 28) on what adds to the stream; 4096 and 8192 entries.
    for (name, expected) in [
        ("model.layers.3.self_attn.q_proj.weight", 0.125),
        ("model.layers.3.self_attn.o_proj.weight", 0.125 / 56.0_f64.sqrt()),
        ("model.layers.27.mlp.down_proj.weight", (1.0 / 128.0_f64.sqrt()) / 56.0_f64.sqrt()),
    ] {
        let found = deviation(name);
        assert!((found / expected - 1.0).abs() < 0.05, "{name}: {found} for {expected}");
    }
}
