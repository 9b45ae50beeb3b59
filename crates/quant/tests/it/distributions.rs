//! Relative errors of iid data, computed elsewhere in numpy from 1.02 M samples; three digits.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StudentT};
use tomo_quant::{Matrix, find};

const COLS: usize = 1024;
const SAMPLES: usize = 1000 * COLS;
/// Format, then Gaussian, Laplace, Student t with 5 degrees of freedom.
const GOLDEN: [(&str, [f64; 3]); 11] = [
    ("int4", [0.1006, 0.1302, 0.1332]),
    ("int3", [0.2156, 0.2728, 0.2837]),
    ("int2", [0.5034, 0.5661, 0.5975]),
    ("int4-sym", [0.1174, 0.1599, 0.1720]),
    ("int3-sym", [0.2740, 0.3566, 0.3865]),
    ("nf4", [0.0919, 0.1037, 0.1046]),
    ("q4_0", [0.0859, 0.1067, 0.1079]),
    ("mxfp4", [0.1150, 0.1269, 0.1259]),
    ("nvfp4", [0.0951, 0.0928, 0.0924]),
    ("fp8", [0.0264, 0.0265, 0.0265]),
    ("q8_0", [0.0054, 0.0067, 0.0068]),
];

fn samples(column: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let student = StudentT::new(5.0).unwrap();
    let mut draw = || -> f64 {
        match column {
            0 => StandardNormal.sample(&mut rng),
            1 => {
                let (a, b): (f64, f64) = (Exp1.sample(&mut rng), Exp1.sample(&mut rng));
                a - b
            }
            _ => student.sample(&mut rng),
        }
    };
    (0..SAMPLES).map(|_| (draw() * 0.02) as f32).collect()
}

#[test]
fn errors_of_iid_data_are_the_known_ones() {
    let mut wrong = Vec::new();
    for column in 0..3 {
        let values = samples(column);
        let matrix = Matrix::new(&values, COLS, 128).unwrap();
        for (id, golden) in GOLDEN {
            let error = find(id).unwrap().error(&matrix).relative();
            let golden = golden[column];
            // One percent, and half a unit of the golden value's last digit.
            let close = (error - golden).abs() <= 0.01 * golden + 0.000_05;
            if !close {
                wrong.push(format!("{id}, column {column}: {error:.5}, golden {golden}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
