//! How fast, against this machine's limit. By hand and in release:
//! `cargo test --release -p tomo-model --lib bench -- --ignored --nocapture`.

use std::io::Write;
use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::noise;
use crate::architecture::{Activation, NormKind};
use crate::engine::Rows;
use crate::engine::ops::{
    Columns, CrossEntropy, HeadLoss, HeadRows, Heads, NormWeights, Targets, activate, add, attention,
    attention_backward, gate, gate_backward, linear, linear_backward, normalise, normalise_backward,
    normalise_heads_backward, rotate, weight_gradient,
};

/// Prints a line of the table.
macro_rules! say {
    ($($format:tt)*) => {
        writeln!(std::io::stdout(), $($format)*).unwrap()
    };
}

/// Seconds of the fastest of so many runs.
fn fastest(runs: usize, mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..=runs).map(time).fold(f64::INFINITY, f64::min)
}

/// GFLOP/s of faer on a square matrix: what counts as the limit.
fn limit(size: usize) -> f64 {
    let (a, b, mut c) = (noise(1, size * size, 1.0), noise(2, size * size, 1.0), vec![0.0; size * size]);
    let par = if rayon::current_num_threads() == 1 { Par::Seq } else { Par::rayon(0) };
    let time = fastest(10, || {
        let a = MatRef::from_row_major_slice(&a, size, size);
        let b = MatRef::from_row_major_slice(&b, size, size);
        let c = MatMut::from_row_major_slice_mut(&mut c, size, size);
        matmul(c, Accum::Replace, a, b.transpose(), 1.0_f32, par);
    });
    2.0 * (size as f64).powi(3) / time / 1e9
}

fn products(limit: f64) {
    for (tokens, inputs, outputs) in [
        (2048, 576, 960),
        (2048, 576, 576),
        (2048, 576, 3072),
        (2048, 1536, 576),
        (2048, 576, 8192),
        (1024, 576, 960),
        (1024, 576, 3072),
        (1024, 1536, 576),
        (512, 576, 960),
        (1024, 1536, 2048),
        (1024, 1536, 17920),
        (1024, 8960, 1536),
        (64, 576, 3072),
        (1, 576, 3072),
    ] {
        let (x, w) = (noise(1, tokens * inputs, 1.0), noise(2, inputs * outputs, 1.0));
        let mut out = vec![0.0; tokens * outputs];
        let work = 2.0 * (tokens * inputs * outputs) as f64 / 1e9;
        let runs = ((40.0 / work) as usize).clamp(10, 300);
        let rate = work / fastest(runs, || linear(Rows::dense(&x, inputs), &w, None, &mut out));
        say!("linear {tokens} x {inputs} -> {outputs}: {rate:.0} GFLOP/s, {:.0} %", 100.0 * rate / limit);
    }
}

/// `g W` and `g^T x`.
fn gradients(limit: f64) {
    for (tokens, inputs, outputs) in [
        (512, 576, 960),
        (512, 576, 576),
        (512, 576, 3072),
        (512, 1536, 576),
        (1024, 576, 960),
        (1024, 576, 192),
        (1024, 576, 3072),
        (1024, 1536, 576),
        (2048, 576, 3072),
        (1024, 8960, 1536),
    ] {
        let (g, x) = (noise(1, tokens * outputs, 1.0), noise(3, tokens * inputs, 1.0));
        let mut w = noise(2, inputs * outputs, 1.0);
        let mut dx = vec![0.0; tokens * inputs];
        let work = 2.0 * (tokens * inputs * outputs) as f64 / 1e9;
        let runs = ((40.0 / work) as usize).clamp(10, 300);
        let (g, x) = (Rows::dense(&g, outputs), Rows::dense(&x, inputs));
        let of_input = work / fastest(runs, || linear_backward(g, &w, false, &mut dx));
        let added = work / fastest(runs, || linear_backward(g, &w, true, &mut dx));
        let of_weights = work / fastest(runs, || weight_gradient(g, x, false, &mut w));
        let [a, b, c] = [of_input, added, of_weights].map(|rate| 100.0 * rate / limit);
        say!(
            "{tokens} x {outputs} -> {inputs}: g W {of_input:.0} GFLOP/s {a:.0} %, added {b:.0} %, g^T x {of_weights:.0} {c:.0} %"
        );
    }
}

fn heads(limit: f64) {
    for (tokens, hidden, vocab) in [(2048, 576, 8192), (1024, 576, 8192), (1024, 1536, 8192)] {
        let (x, w) = (noise(1, tokens * hidden, 1.0), noise(2, hidden * vocab, 1.0));
        let work = 2.0 * (tokens * hidden * vocab) as f64 / 1e9;
        let head = HeadRows { weights: &w, bias: None, scale: 1.0, softcap: None };
        let targets = 0..tokens as u32;
        let rate = work / fastest(10, || CrossEntropy::new(targets.clone()).head(0, 0, Rows::dense(&x, hidden), head));
        say!("head {tokens} x {hidden} -> {vocab}: {rate:.0} GFLOP/s, {:.0} %", 100.0 * rate / limit);
    }
}

fn attentions(limit: f64) {
    let smol = Heads { heads: 9, kv_heads: 3, head_dim: 64, scale: 0.125, softcap: None, window: None };
    let qwen = Heads { heads: 12, kv_heads: 2, head_dim: 128, ..smol };
    let single = Heads { heads: 8, kv_heads: 8, ..smol };
    for (shape, tokens) in [
        (smol, 512),
        (smol, 2048),
        (smol, 8192),
        (Heads { softcap: Some(50.0), ..smol }, 512),
        (Heads { window: Some(128), ..smol }, 2048),
        (qwen, 512),
        (single, 512),
    ] {
        let Heads { heads, kv_heads, head_dim, window, .. } = shape;
        let stride = (heads + 2 * kv_heads) * head_dim;
        let values = noise(1, tokens * stride, 1.0);
        let part = |first, count| Rows::columns(&values, stride, first * head_dim, count * head_dim);
        let (q, k, v) = (part(0, heads), part(heads, kv_heads), part(heads + kv_heads, kv_heads));
        let mut out = vec![0.0; tokens * heads * head_dim];
        let seen: usize = (1..=tokens).map(|t| t.min(window.unwrap_or(t))).sum();
        let work = 4.0 * (seen * heads * head_dim) as f64 / 1e9;
        let time = fastest(((10.0 / work) as usize).clamp(5, 200), || attention(shape, q, k, v, &mut out));
        let rate = work / time;
        say!(
            "attention {tokens}, {heads}/{kv_heads} heads of {head_dim}, window {window:?}, cap {:?}: {:.2} ms, {rate:.0} GFLOP/s, {:.0} %",
            shape.softcap,
            1e3 * time,
            100.0 * rate / limit
        );
    }
}

/// A slice of SmolLM2's head: the share of the time that each entry of the vocabulary costs is that of the whole.
fn head_gradients(limit: f64) {
    let (hidden, vocab) = (576, 8192);
    for tokens in [512, 2048] {
        let (x, w) = (noise(1, tokens * hidden, 1.0), noise(2, hidden * vocab, 1.0));
        let (other, labels) = (noise(3, tokens * hidden, 1.0), (0..tokens as u32).collect::<Vec<_>>());
        let uniforms: Vec<f64> = noise(4, tokens, 0.5).into_iter().map(|u| f64::from(u) + 0.5).collect();
        let product = 2.0 * (tokens * hidden * vocab) as f64 / 1e9;
        let head = HeadRows { weights: &w, bias: None, scale: 1.0, softcap: None };
        let (text, drawn) = (Targets::Labels(&labels), Targets::Drawn(&uniforms));
        for (targets, products) in
            [(vec![text], 2.0), (vec![text, drawn, drawn, drawn], 2.0), (vec![text, Targets::Divergence(&other)], 4.0)]
        {
            let time = fastest(8, || {
                let mut loss = HeadLoss::new(&x, hidden, &targets);
                (0..2).for_each(|at| {
                    loss.see(at * 4096, HeadRows { weights: &w[at * 4096 * hidden..][..4096 * hidden], ..head })
                });
                loss.settle(1.0);
                loss.resolve(0, head);
                loss.finish(targets.len());
            });
            let rate = products * product / time;
            say!(
                "gradient of head {tokens} x {hidden} -> {vocab}, {} objectives: {:.1} ms, {rate:.0} GFLOP/s, {:.0} %",
                targets.len(),
                1e3 * time,
                100.0 * rate / limit
            );
        }
    }
}

fn attention_gradients(limit: f64) {
    let smol = Heads { heads: 9, kv_heads: 3, head_dim: 64, scale: 0.125, softcap: None, window: None };
    for (shape, tokens, objectives) in [
        (smol, 512, 1),
        (smol, 512, 4),
        (smol, 2048, 1),
        (Heads { softcap: Some(50.0), ..smol }, 512, 1),
        (Heads { window: Some(128), ..smol }, 2048, 1),
        (Heads { heads: 12, kv_heads: 2, head_dim: 128, ..smol }, 512, 1),
        (Heads { heads: 8, kv_heads: 8, ..smol }, 512, 1),
    ] {
        let Heads { heads, kv_heads, head_dim, window, .. } = shape;
        let stride = (heads + 2 * kv_heads) * head_dim;
        let values = noise(1, tokens * stride, 1.0);
        let part = |first, count| Rows::columns(&values, stride, first * head_dim, count * head_dim);
        let (q, k, v) = (part(0, heads), part(heads, kv_heads), part(heads + kv_heads, kv_heads));
        let mut out = vec![0.0; tokens * heads * head_dim];
        attention(shape, q, k, v, &mut out);
        let out = Rows::dense(&out, heads * head_dim);
        let mut d = vec![vec![0.0; values.len()]; objectives];
        let seen: usize = (1..=tokens).map(|t| t.min(window.unwrap_or(t))).sum();
        let work = (2 + 8 * objectives) as f64 * (seen * heads * head_dim) as f64 / 1e9;
        let g = vec![out; objectives];
        let time = fastest(((10.0 / work) as usize).clamp(5, 100), || {
            let mut d: Vec<&mut [f32]> = d.iter_mut().map(Vec::as_mut_slice).collect();
            attention_backward(shape, q, k, v, out, &g, &mut d);
        });
        let rate = work / time;
        say!(
            "{objectives} x gradient of attention {tokens}, {heads}/{kv_heads} heads of {head_dim}, window {window:?}, cap {:?}: {:.2} ms, {rate:.0} GFLOP/s, {:.0} %",
            shape.softcap,
            1e3 * time,
            100.0 * rate / limit
        );
    }
}

/// `name`, values touched, work.
fn sweep(name: &str, values: usize, work: impl FnMut()) {
    let time = fastest(60, work);
    let (each, rate) = (1e9 * time / values as f64, 4.0 * values as f64 / time / 1e9);
    say!("{name}: {:.2} ms, {each:.2} ns per value, {rate:.1} GB/s", 1e3 * time);
}

fn sweeps_back() {
    let (tokens, hidden, width) = (2048, 576, 1536);
    let (x, g, mut dx) = (noise(1, tokens * hidden, 2.0), noise(2, tokens * hidden, 2.0), vec![0.0; tokens * hidden]);
    for kind in [NormKind::Rms, NormKind::Layer] {
        let norm = NormWeights { kind, epsilon: 1e-5, weight: noise(2, hidden, 1.0), bias: None };
        sweep(&format!("gradient of {kind:?} 2048 x 576"), 4 * x.len(), || normalise_backward(&x, &norm, &g, &mut dx));
    }
    let head = NormWeights { kind: NormKind::Rms, epsilon: 1e-5, weight: noise(2, 64, 1.0), bias: None };
    let columns = Columns { stride: 576, first: 0, count: 9, width: 64 };
    sweep("gradient of head norms 2048 x 9 x 64", 3 * x.len(), || {
        normalise_heads_backward(Rows::dense(&x, hidden), columns, &head, &mut dx);
    });
    let (wide, g) = (noise(4, tokens * 2 * width, 4.0), noise(5, tokens * width, 1.0));
    let mut d = vec![0.0; wide.len()];
    for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
        sweep(&format!("gradient of gate {activation:?} 2048 x 1536"), 5 * g.len(), || {
            gate_backward(&wide, activation, width, &g, &mut d);
        });
    }
}

fn sweeps() {
    let (tokens, hidden, width) = (2048, 576, 1536);
    let x = noise(1, tokens * hidden, 2.0);
    let mut out = vec![0.0; x.len()];
    sweep("add 2048 x 576", 3 * x.len(), || add(&mut out, &x));
    let norm = NormWeights { kind: NormKind::Rms, epsilon: 1e-5, weight: noise(2, hidden, 1.0), bias: None };
    sweep("rms 2048 x 576", 2 * x.len(), || normalise(&x, &norm, &mut out));
    let norm = NormWeights { kind: NormKind::Layer, bias: Some(noise(3, hidden, 1.0)), ..norm };
    sweep("layer norm 2048 x 576", 2 * x.len(), || normalise(&x, &norm, &mut out));
    let wide = noise(4, tokens * 2 * width, 4.0);
    let mut gated = vec![0.0; tokens * width];
    for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
        sweep(&format!("gate {activation:?} 2048 x 1536"), 3 * gated.len(), || {
            gate(&wide, activation, width, &mut gated)
        });
    }
    sweep("activate Gelu", 2 * gated.len(), || activate(&wide[..tokens * width], Activation::Gelu, &mut gated));
    let vocab = 8192;
    let logits = noise(5, 1024 * vocab, 8.0);
    sweep("cross entropy 1024 x 8192", logits.len(), || {
        let mut loss = CrossEntropy::new((0..1024).map(|t| t * 7));
        loss.tile(0, 0, vocab, &logits);
    });
    let mut heads = noise(6, 2048 * 960, 1.0);
    let table = super::rows::table(64, 512);
    let columns = Columns { stride: 960, first: 0, count: 12, width: 64 };
    sweep("rotate 2048 x 12 x 64", 2 * 2048 * 768, || {
        for sequence in heads.chunks_mut(512 * 960) {
            rotate(sequence, columns, &table);
        }
    });
}

#[test]
#[ignore = "wants a quiet machine"]
fn bench_gradients() {
    for threads in [1, 2] {
        super::on_threads(threads, || {
            let limit = [1024, 2048].map(limit).into_iter().fold(0.0, f64::max);
            say!("{threads} threads, limit {limit:.0} GFLOP/s");
            if std::env::var_os("PRODUCTS").is_some() {
                gradients(limit);
            }
            sweeps_back();
            if std::env::var_os("HEADS").is_some() {
                head_gradients(limit);
            }
            attention_gradients(limit);
        });
    }
}

#[test]
#[ignore = "takes a minute and wants a quiet machine"]
fn bench() {
    for threads in [1, 2] {
        super::on_threads(threads, || {
            let limit = [1024, 2048].map(limit).into_iter().fold(0.0, f64::max);
            say!("{threads} threads, limit {limit:.0} GFLOP/s");
            products(limit);
            heads(limit);
            attentions(limit);
            sweeps();
        });
    }
}
