//! The bootstrap over units, against its exact distribution and numpy's percentiles.

use tomo_map::stats::{Bootstrap, quantile};

#[test]
fn every_sample_is_as_large_as_the_original_and_drawn_evenly() {
    let bootstrap = Bootstrap::new(7, 5000, 3);
    assert_eq!((bootstrap.units(), bootstrap.resamples()), (7, 5000));
    let mut drawn = [0_u32; 7];
    for counts in bootstrap.counts() {
        assert_eq!(counts.iter().sum::<u16>(), 7);
        drawn.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u32::from(*count));
    }
    // 35000 draws of 1 in 7: standard deviation 65.
    assert!(drawn.iter().all(|n| n.abs_diff(5000) < 330), "{drawn:?}");
    // A unit is missing from a sample with probability (6/7)^7 = 0.340.
    let missing = bootstrap.counts().filter(|counts| counts[2] == 0).count();
    assert!(missing.abs_diff(1700) < 170, "{missing}");
}

/// `np.percentile([...], [2.5, 97.5])` of numpy 2.4.
#[test]
fn percentiles_are_numpys() {
    let of = |values: &[f64]| Bootstrap::percentiles(values.to_vec());
    let close = |values: &[f64], low: f64, high: f64| {
        let (a, b) = of(values).unwrap();
        assert!((a - low).abs() <= 1e-14 && (b - high).abs() <= 1e-14, "{a} {b}");
    };
    close(&[3.0, 1.0, 2.0, 10.0, 4.0], 1.1, 9.4);
    close(&[5.0], 5.0, 5.0);
    close(&[2.0, f64::NAN, 4.0, f64::INFINITY], 2.05, 3.95);
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[f64::NAN]), None);
}

/// `np.quantile([3, 1, 2, 10, 4], .99)` is 4 + .96 * 6: place 3.96 of the sorted five.
#[test]
fn a_quantile_lies_between_its_neighbours() {
    let of = |values: &[f64], share: f64| quantile(&mut values.to_vec(), share);
    assert!((of(&[3.0, 1.0, 2.0, 10.0, 4.0], 0.99).unwrap() - 9.76).abs() < 1e-12);
    assert_eq!(of(&[3.0, 1.0, 2.0], 0.0), Some(1.0));
    assert_eq!(of(&[3.0, 1.0, 2.0], 1.0), Some(3.0));
    assert_eq!(of(&[], 0.5), None);
}

/// Two units: in one sample of four both are the first, in one of four the second.
#[test]
fn ratios_are_recombined_from_sums() {
    let bootstrap = Bootstrap::new(2, 2000, 0);
    assert_eq!(bootstrap.ratio(&[1.0, 30.0], &[10.0, 100.0]), Some((0.1, 0.3)));
    let middle = |counts: &[u16]| {
        (f64::from(counts[0]) + 30.0 * f64::from(counts[1]))
            / (f64::from(counts[0]) * 10.0 + f64::from(counts[1]) * 100.0)
    };
    let pooled = bootstrap.counts().filter(|counts| counts[0] == 1).map(middle).next();
    assert_eq!(pooled, Some(31.0 / 110.0), "a mean of the two ratios would be 0.2");
    // A unit without tokens: samples of it alone have no ratio and are left out.
    assert_eq!(bootstrap.ratio(&[1.0, 0.0], &[10.0, 0.0]), Some((0.1, 0.1)));
}

#[test]
fn fewer_than_two_units_have_no_interval() {
    for units in [0, 1] {
        let bootstrap = Bootstrap::new(units, 2000, 0);
        assert_eq!((bootstrap.resamples(), bootstrap.counts().len()), (0, 0));
        assert_eq!(bootstrap.interval(|_| 1.0), None);
    }
    assert_eq!(Bootstrap::new(5, 0, 0).interval(|_| 1.0), None);
}

#[test]
fn a_seed_gives_the_same_samples_everywhere() {
    let first = |seed| Bootstrap::new(6, 3, seed).counts().map(<[u16]>::to_vec).collect::<Vec<_>>();
    assert_eq!(first(0), first(0));
    assert_ne!(first(0), first(1));
}
