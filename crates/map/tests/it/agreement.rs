//! Statistics that compare maps, against scipy (`fixtures/golden/agreement.json`) and against arithmetic.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tomo_map::stats::{
    CellSamples, RankInterval, SequenceTable, kendall, partial, partial_spearman, pearson, rank_intervals,
    share_in_own_decile, spearman, spearman_brown, split_half, top_count, top_overlap,
};
use tomo_testkit::{Within, assert_close};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../fixtures/golden/agreement.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(|v| v.as_f64().map_or_else(|| floats(v), |x| vec![x])).collect()
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn correlations_and_overlaps_are_scipys() {
    let golden = golden();
    let pairs = golden["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 6);
    for pair in pairs {
        let (a, b, control) = (floats(&pair["a"]), floats(&pair["b"]), floats(&pair["control"]));
        let count = usize::try_from(pair["count"].as_u64().unwrap()).unwrap();
        for (got, want) in [
            (pearson(&a, &b), "pearson"),
            (spearman(&a, &b), "spearman"),
            (kendall(&a, &b), "kendall"),
            (partial_spearman(&a, &b, &control), "partial"),
            (top_overlap(&a, &b, count), "overlap"),
        ] {
            let close = tomo_testkit::compare(got.unwrap(), float(&pair[want]), Within::Absolute(1e-12));
            assert!(close.is_ok(), "{} {want}: {close:?}", pair["name"]);
        }
    }
}

#[test]
fn order_has_known_correlations() {
    let rising: Vec<f64> = (0..50).map(f64::from).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    let curved: Vec<f64> = rising.iter().map(|v| (v / 5.0).exp()).collect();
    for (other, expected) in [(&falling, -1.0), (&curved, 1.0), (&rising, 1.0)] {
        assert_close(spearman(&rising, other).unwrap(), expected, Within::Absolute(1e-15));
        assert_close(kendall(&rising, other).unwrap(), expected, Within::Absolute(1e-15));
    }
    assert_eq!(top_overlap(&rising, &curved, 5), Some(1.0));
    assert_eq!(top_overlap(&rising, &falling, 5), Some(0.0));
    // All equal: any five of fifty.
    assert_close(top_overlap(&rising, &[1.0; 50], 5).unwrap(), 0.1, Within::Absolute(1e-15));
    assert_eq!((top_count(210, 0.1), top_count(7, 0.1), top_count(3, 0.1)), (21, 1, 1));
}

#[test]
fn what_has_no_order_has_no_correlation() {
    let rising = [1.0, 2.0, 3.0, 4.0];
    for other in [&[5.0; 4][..], &[1.0, 2.0][..], &[][..]] {
        assert_eq!((pearson(&rising, other), spearman(&rising, other), kendall(&rising, other)), (None, None, None));
    }
    assert_eq!((spearman(&[1.0], &[1.0]), kendall(&[], &[])), (None, None));
    assert_eq!((top_overlap(&rising, &rising, 0), top_overlap(&rising, &rising, 5)), (None, None));
    // The control says all there is to say of the first.
    assert_eq!(partial_spearman(&rising, &[1.0, 3.0, 2.0, 4.0], &[10.0, 20.0, 30.0, 40.0]), None);
    assert_eq!(partial(0.5, 0.2, -1.0), None);
    // Nothing to take away.
    assert_eq!(partial(0.5, 0.0, 0.0), Some(0.5));
    // Two zeros are one value: the pairs (1, 2) and (1, 3) are in order, the pair (2, 3) is tied in the first.
    assert_close(
        kendall(&[-1.0, 0.0, -0.0], &[1.0, 3.0, 2.0]).unwrap(),
        kendall(&[-1.0, 0.0, 0.0], &[1.0, 2.0, 3.0]).unwrap(),
        Within::Absolute(0.0),
    );
    // Numbers of any size.
    assert_close(pearson(&[0.0, f64::MAX], &[-f64::MAX, f64::MAX]).unwrap(), 1.0, Within::Absolute(1e-15));
}

fn golden_table(table: &Value) -> SequenceTable {
    SequenceTable::from_means(&floats(&table["means"]), &floats(&table["tokens"])).unwrap()
}

#[test]
fn halves_and_places_are_those_of_all_halves_and_resamples() {
    let golden = &golden()["table"];
    let table = golden_table(golden);
    assert_close(table.means(), floats(&golden["scores"]), Within::Relative(1e-14));

    let splits = 4000;
    let found = split_half(&table, splits, 1).unwrap();
    // Mean of a random draw of the ten halves: four standard errors.
    let error = 4.0 * float(&golden["half_spread"]) / (splits as f64).sqrt();
    assert_close(found.half, float(&golden["half"]), Within::Absolute(error));
    assert_close(found.whole, float(&golden["whole"]), Within::Absolute(error));
    assert_close(found.ceiling.unwrap(), float(&golden["ceiling"]), Within::Absolute(error));
    assert_eq!((found.sequences, found.splits), (6, splits));

    let places = rank_intervals(&table, 20_000, 1).unwrap();
    assert_close(places.iter().map(|p| p.rank).collect::<Vec<_>>(), floats(&golden["rank"]), Within::Absolute(0.0));
    assert_close(places.iter().map(|p| p.low).collect::<Vec<_>>(), floats(&golden["rank_low"]), Within::Absolute(0.0));
    assert_close(
        places.iter().map(|p| p.high).collect::<Vec<_>>(),
        floats(&golden["rank_high"]),
        Within::Absolute(0.0),
    );
}

#[test]
fn a_map_without_noise_is_wholly_reliable_and_pure_noise_not_at_all() {
    let means: Vec<f64> =
        (0..30).flat_map(|cell| (0..8).map(move |s| f64::from(cell) * (1.0 + f64::from(s)))).collect();
    let table = SequenceTable::from_means(&means, &[64.0; 8]).unwrap();
    let found = split_half(&table, 50, 0).unwrap();
    assert_close([found.half, found.whole, found.ceiling.unwrap()], [1.0; 3], Within::Absolute(1e-12));
    let places = rank_intervals(&table, 200, 0).unwrap();
    assert!(places.iter().all(|p| p.low == p.rank && p.high == p.rank));
    assert_eq!(share_in_own_decile(&places), Some(1.0));

    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let noise: Vec<f64> = (0..300 * 8).map(|_| normal(&mut rng)).collect();
    let table = SequenceTable::from_means(&noise, &[64.0; 8]).unwrap();
    let found = split_half(&table, 200, 0).unwrap();
    // Halves of one table are not independent: standard error about 1 / sqrt(300).
    assert!(found.half.abs() < 4.0 / 300f64.sqrt(), "{found:?}");
    assert!(share_in_own_decile(&rank_intervals(&table, 200, 0).unwrap()).unwrap() < 0.05);
    assert_eq!((spearman_brown(0.5, 2.0), spearman_brown(0.5, 1.0)), (2.0 / 3.0, 0.5));
    assert_eq!(spearman_brown(-0.2, 2.0), -0.2);
}

#[test]
fn a_table_holds_what_was_measured() {
    // Two cells, three sequences; the second saw two of them.
    let table = SequenceTable::new(3, vec![1.0, 2.0, 9.0, 8.0, 0.0, 4.0], vec![1.0, 1.0, 2.0, 2.0, 0.0, 2.0]).unwrap();
    assert_eq!(table.means(), [3.0, 3.0]);
    assert_eq!((table.seen(0), table.seen(1), table.common()), (3, 2, vec![0, 2]));
    assert_eq!(table.resampled(&[3, 0, 0]), [1.0, 4.0]);
    // Nothing of the second was drawn: what is known of it stays.
    assert_eq!(table.resampled(&[0, 3, 0]), [2.0, 3.0]);
    assert_eq!(split_half(&table, 10, 0).unwrap().sequences, 2);
    assert_eq!(table.select(&[1]).unwrap().means(), [3.0]);
    assert_eq!(table.select(&[2]), None);

    let none = |sequences, sums: &[f64], tokens: &[f64]| SequenceTable::new(sequences, sums.into(), tokens.into());
    assert_eq!(none(2, &[1.0, 1.0], &[0.0, 0.0]), None, "a cell that saw nothing");
    assert_eq!(none(2, &[1.0, 1.0, 1.0], &[1.0, 1.0, 1.0]), None, "lengths");
    assert_eq!(none(1, &[f64::NAN], &[1.0]), None);
    assert_eq!(none(1, &[1.0], &[-1.0]), None);
    assert_eq!(none(0, &[], &[]), None);
    let single = SequenceTable::from_means(&[1.0, 2.0], &[4.0]).unwrap();
    assert_eq!((split_half(&single, 10, 0), rank_intervals(&single, 10, 0)), (None, None));
    assert_eq!(share_in_own_decile(&[]), None);
}

#[test]
fn tenths_of_the_order_are_as_large_as_they_can_be() {
    let cells = 210;
    let mut sizes = [0; 10];
    (1..=cells).for_each(|place| sizes[RankInterval::decile(f64::from(place), 210)] += 1);
    assert_eq!(sizes, [21; 10]);
    let of = |rank, low, high| RankInterval { rank, low, high }.keeps_its_decile(210);
    assert!(of(10.0, 1.0, 21.0) && !of(10.0, 1.0, 22.0) && !of(22.0, 21.0, 30.0) && of(210.0, 190.0, 210.0));
}

/// scipy's basic interval of 20 000 resamples on the same scale; 5000 of ours are off by what percentiles scatter.
#[test]
fn the_interval_is_scipys() {
    let golden = &golden()["bootstrap"];
    let (a, b) = (floats(&golden["a"]), floats(&golden["b"]));
    let samples = CellSamples::new(60, 5000, 3);
    let (x, y) = (samples.of_values(&a).ranked(), samples.of_values(&b).ranked());
    let rho = spearman(&a, &b).unwrap();
    assert_close(rho, float(&golden["spearman"]), Within::Absolute(1e-12));
    let (low, high) = samples.correlation_interval(rho, |at| pearson(x.at(at), y.at(at))).unwrap();
    let z = |r: f64| r.atanh();
    // Spread of z about 0.15, so a percentile of 5000 scatters by 0.15 * 0.037.
    assert_close(z(low), z(float(&golden["low"])), Within::Absolute(0.025));
    assert_close(z(high), z(float(&golden["high"])), Within::Absolute(0.025));
    // The same samples for every column: a column's difference to itself has no width.
    let own = |at| Some(pearson(x.at(at), y.at(at))? - pearson(x.at(at), y.at(at))?);
    assert_eq!(samples.interval(0.0, own), Some((0.0, 0.0)));
    assert_eq!(CellSamples::new(1, 100, 0).correlation_interval(0.5, |_| Some(0.5)), None);
    assert_eq!(samples.correlation_interval(0.5, |_| None), None);
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Columns of a known population: Gaussian with correlation r, so Spearman's is 6 / pi asin(r / 2) (Pearson 1907); one of the two
/// is measured on eight noisy sequences. 95 % intervals cover the noiseless value in 95 of 100 worlds, give or take
/// the standard error of 200 worlds and the bootstrap's own bias.
#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (worlds, cells, sequences) = (200, 60, 8);
    for (r, noise) in [(0.0, 0.5), (0.6, 0.5), (0.9, 0.3)] {
        let truth = 6.0 / std::f64::consts::PI * (r / 2.0_f64).asin();
        let mut covered = 0;
        for world in 0..worlds {
            let mut proxy = Vec::new();
            let mut means = Vec::new();
            for _ in 0..cells {
                let (p, other) = (normal(&mut rng), normal(&mut rng));
                let cost = r * p + (1.0 - r * r).sqrt() * other;
                proxy.push(p);
                means.extend((0..sequences).map(|_| (cost + noise * normal(&mut rng)).exp()));
            }
            let table = SequenceTable::from_means(&means, &vec![100.0; sequences]).unwrap();
            let samples = CellSamples::new(cells, 200, world);
            let (a, b) = (samples.of_values(&proxy).ranked(), samples.of_table(&table, world).ranked());
            let rho = spearman(&proxy, &table.means()).unwrap();
            let (low, high) = samples.correlation_interval(rho, |at| pearson(a.at(at), b.at(at))).unwrap();
            covered += u32::from(low <= truth && truth <= high);
        }
        let share = f64::from(covered) / worlds as f64;
        assert!((0.90..=0.99).contains(&share), "r {r}: {share}");
    }
}

#[test]
fn tables_with_one_seed_are_paired() {
    let means: Vec<f64> = (0..20).map(|i| f64::from(i * i % 17)).collect();
    let table = SequenceTable::from_means(&means, &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let samples = CellSamples::new(5, 30, 0);
    assert_eq!(samples.of_table(&table, 1), samples.of_table(&table, 1));
    assert_ne!(samples.of_table(&table, 1), samples.of_table(&table, 2));
    // One sequence: nothing to draw.
    let single = SequenceTable::from_means(&means[..5], &[1.0]).unwrap();
    assert_eq!(samples.of_table(&single, 1), samples.of_values(&means[..5]));
    let all = CellSamples::all_cells(5, 3);
    assert_eq!((all.resamples(), all.of_values(&means[..5]).at(2)), (3, &means[..5]));
}
