use super::{bits, distance, noise, on_threads, plain};
use crate::engine::Rows;
use crate::engine::ops::{add, clamp, linear, linear_backward, linear_into, scale, softcap, weight_gradient};

/// Rows, inputs, outputs: one row and two, more than a tile, no multiple of any tile or register.
const SHAPES: [(usize, usize, usize); 9] = [
    (1, 64, 96),
    (2, 3, 1),
    (3, 576, 97),
    (5, 1, 7),
    (67, 100, 960),
    (513, 33, 193),
    (515, 20, 5),
    (40, 1100, 130),
    (1, 1, 1),
];

#[test]
fn a_product_is_what_f64_gives() {
    for (tokens, inputs, outputs) in SHAPES {
        let (x, w) = (noise(1, tokens * inputs, 1.0), noise(2, outputs * inputs, 1.0));
        let bias = noise(3, outputs, 4.0);
        for bias in [None, Some(bias.as_slice())] {
            let mut out = vec![f32::NAN; tokens * outputs];
            linear(Rows::dense(&x, inputs), &w, bias, &mut out);
            let far = distance(&out, &plain::linear(Rows::dense(&x, inputs), &w, bias));
            assert!(far < 2e-6, "{tokens} x {inputs} -> {outputs}: {far:e}");
        }
    }
}

#[test]
fn rows_inside_wider_rows_are_taken_where_they_are() {
    let (tokens, inputs, outputs, stride) = (70, 40, 30, 64);
    let values = noise(1, tokens * stride - 4, 1.0);
    let w = noise(2, outputs * inputs, 1.0);
    let x = Rows::columns(&values, stride, 20, inputs);
    assert_eq!(x.len(), tokens);
    let (mut strided, mut dense) = (vec![0.0; tokens * outputs], vec![0.0; tokens * outputs]);
    linear(x, &w, None, &mut strided);
    linear(Rows::dense(&x.iter().collect::<Vec<_>>().concat(), inputs), &w, None, &mut dense);
    assert!(bits(&strided) == bits(&dense));
    assert!(distance(&strided, &plain::linear(x, &w, None)) < 2e-6);
}

/// Cells that read the same rows, each by itself into its own columns, have the bits of all at once.
#[test]
#[cfg(target_arch = "x86_64")]
fn columns_of_a_product_have_the_same_bits_by_themselves() {
    for (tokens, inputs, outputs) in SHAPES.into_iter().chain([(2, 576, 20), (4, 576, 40), (7, 8, 12)]) {
        let (x, w, bias) = (noise(1, tokens * inputs, 1.0), noise(2, outputs * inputs, 1.0), noise(3, outputs, 1.0));
        let x = Rows::dense(&x, inputs);
        let mut whole = vec![f32::NAN; tokens * outputs];
        linear(x, &w, Some(&bias), &mut whole);
        // No cell is narrower than this.
        for split in 4..outputs.saturating_sub(3) {
            let mut parts = vec![f32::NAN; tokens * outputs];
            for part in [0..split, split..outputs] {
                let own = &w[part.start * inputs..part.end * inputs];
                linear_into(x, own, Some(&bias[part.clone()]), &mut parts, outputs, part.start);
            }
            assert!(bits(&parts) == bits(&whole), "{tokens} x {inputs} -> {outputs}, split at {split}");
        }
    }
}

/// `[rows, cols]` on its side.
fn transposed(x: Rows<'_>) -> Vec<f32> {
    (0..x.cols()).flat_map(|col| x.iter().map(move |row| row[col])).collect()
}

/// What `run` leaves in a buffer that holds `before`, replaced and added to, against f64.
fn check(expected: &[f64], what: &str, run: impl Fn(bool, &mut [f32])) {
    let mut out = vec![f32::NAN; expected.len()];
    run(false, &mut out);
    let far = distance(&out, expected);
    assert!(far < 2e-6, "{what}: {far:e}");
    let mut out = vec![1.5; expected.len()];
    run(true, &mut out);
    out.iter_mut().for_each(|x| *x -= 1.5);
    let far = distance(&out, expected);
    assert!(far < 2e-5, "{what}, added: {far:e}");
}

#[test]
fn gradients_are_what_f64_gives() {
    for (tokens, inputs, outputs) in SHAPES {
        // Both inside wider rows.
        let (wide_x, wide_g) = (noise(1, tokens * (inputs + 3), 1.0), noise(3, tokens * (outputs + 5), 1.0));
        let x = Rows::columns(&wide_x, inputs + 3, 2, inputs);
        let g = Rows::columns(&wide_g, outputs + 5, 4, outputs);
        let w = noise(2, outputs * inputs, 1.0);
        let what = format!("{tokens} x {inputs} -> {outputs}");
        let of_input = plain::linear(g, &transposed(Rows::dense(&w, inputs)), None);
        check(&of_input, &what, |add, out| linear_backward(g, &w, add, out));
        let of_weights = plain::linear(Rows::dense(&transposed(g), tokens), &transposed(x), None);
        check(&of_weights, &what, |add, out| weight_gradient(g, x, add, out));
    }
}

#[test]
fn no_rows_have_no_gradient() {
    let mut out = [7.0_f32; 6];
    weight_gradient(Rows::dense(&[], 2), Rows::dense(&[], 3), true, &mut out);
    assert_eq!(out, [7.0; 6]);
    weight_gradient(Rows::dense(&[], 2), Rows::dense(&[], 3), false, &mut out);
    assert_eq!(out, [0.0; 6]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn gradients_have_the_same_bits_in_every_call_and_on_any_number_of_threads() {
    for (inputs, outputs) in [(576, 960), (97, 1536), (5, 1100), (1, 64), (200, 3)] {
        let tokens = 600;
        let (x, w) = (noise(1, tokens * inputs, 1.0), noise(2, inputs * outputs, 1.0));
        let g = noise(3, tokens * outputs, 1.0);
        let (x, g) = (Rows::dense(&x, inputs), Rows::dense(&g, outputs));
        let mut all = vec![0.25; tokens * inputs];
        on_threads(2, || linear_backward(g, &w, true, &mut all));
        for (from, count, threads) in [(0, 1, 1), (5, 2, 3), (100, 17, 2), (0, 513, 2), (1, 599, 1)] {
            let mut some = vec![0.25; count * inputs];
            on_threads(threads, || linear_backward(g.slice(from, count), &w, true, &mut some));
            let expected = &all[from * inputs..(from + count) * inputs];
            assert!(bits(&some) == bits(expected), "{count} rows of {outputs} -> {inputs}, {threads} threads");
        }
        let of_weights = |threads| {
            let mut out = vec![0.0; inputs * outputs];
            on_threads(threads, || weight_gradient(g, x, false, &mut out));
            bits(&out)
        };
        assert!(of_weights(1) == of_weights(3));
    }
}

/// Holds where faer has its own kernels: x86-64 with AVX2.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_row_has_the_same_bits_in_every_call_and_on_any_number_of_threads() {
    for (inputs, outputs) in [(576, 960), (1536, 97), (1100, 5), (64, 1), (3, 200), (1, 64), (2, 2), (16, 16)] {
        let tokens = 1030;
        let (x, w) = (noise(1, tokens * inputs, 1.0), noise(2, outputs * inputs, 1.0));
        let mut all = vec![0.0; tokens * outputs];
        on_threads(2, || linear(Rows::dense(&x, inputs), &w, None, &mut all));
        for (from, count, threads) in
            [(0, 1, 1), (5, 2, 3), (6, 3, 1), (100, 17, 2), (3, 64, 1), (0, 513, 2), (1, 1029, 1)]
        {
            let mut some = vec![0.0; count * outputs];
            on_threads(threads, || linear(Rows::dense(&x, inputs).slice(from, count), &w, None, &mut some));
            let expected = &all[from * outputs..(from + count) * outputs];
            assert!(bits(&some) == bits(expected), "{count} rows of {inputs} -> {outputs}, {threads} threads");
        }
    }
}

/// So many rows that the last tile would have a single one.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_row_left_over_has_the_same_bits_too() {
    let (tokens, inputs, outputs) = (127 * 512 + 1, 3, 5);
    let (x, w) = (noise(1, tokens * inputs, 1.0), noise(2, outputs * inputs, 1.0));
    let (mut all, mut last) = (vec![0.0; tokens * outputs], vec![0.0; 8 * outputs]);
    linear(Rows::dense(&x, inputs), &w, None, &mut all);
    linear(Rows::dense(&x, inputs).slice(tokens - 8, 8), &w, None, &mut last);
    assert!(bits(&last) == bits(&all[(tokens - 8) * outputs..]));
}

#[test]
fn a_nan_reaches_every_output_of_its_row_and_no_other_row() {
    let (tokens, inputs, outputs) = (9, 30, 100);
    let mut x = noise(1, tokens * inputs, 1.0);
    x[4 * inputs + 7] = f32::NAN;
    let mut out = vec![0.0; tokens * outputs];
    linear(Rows::dense(&x, inputs), &noise(2, outputs * inputs, 1.0), None, &mut out);
    for (row, out) in out.chunks(outputs).enumerate() {
        assert!(out.iter().all(|y| y.is_nan() == (row == 4)), "row {row}");
    }
}

#[test]
fn nothing_comes_of_nothing() {
    let mut out = [7.0_f32; 0];
    linear(Rows::dense(&[], 5), &[1.0; 10], None, &mut out);
}

#[test]
fn sums_multiples_and_limits() {
    let count = 40_001;
    let (a, b) = (noise(1, count, 3.0), noise(2, count, 3.0));
    let mut out = a.clone();
    add(&mut out, &b);
    assert!(out.iter().zip(&a).zip(&b).all(|((out, a), b)| out.to_bits() == (a + b).to_bits()));
    scale(&mut out, 0.25);
    assert!(out.iter().zip(&a).zip(&b).all(|((out, a), b)| out.to_bits() == ((a + b) * 0.25).to_bits()));
    let mut out = a.clone();
    softcap(&mut out, 0.75);
    assert!(distance(&out, &a.iter().map(|x| 0.75 * (f64::from(*x) / 0.75).tanh()).collect::<Vec<_>>()) < 3e-7);
    let mut out = a.clone();
    out[9] = f32::NAN;
    clamp(&mut out, 1.5);
    assert!(out[9].is_nan());
    let mut rest = out.iter().zip(&a).enumerate().filter(|(at, _)| *at != 9);
    assert!(rest.all(|(_, (out, a))| out.abs() == a.abs().min(1.5) && out.signum() == a.signum()));
}
