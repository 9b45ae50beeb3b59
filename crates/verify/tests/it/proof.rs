//! Plans beside others, from made-up damages of which the answer is known.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tomo_map::stats::Bootstrap;
use tomo_testkit::{Within, assert_close};
use tomo_verify::proof::{Arm, ProofError, Role, Verdict, is_same_size, prove};
use tomo_verify::{Damage, Token};

const TOKENS: usize = 10;

fn arm(role: Role, bytes: u64, damage: Vec<Vec<Token>>) -> Arm {
    Arm { name: format!("{role:?}").to_lowercase(), role, bytes, bits_per_weight: 4.5, damage }
}

/// Every token of sequence s: KL and rise of the loss.
fn damage(kl: &[f64], original: &[Vec<f64>], rise: &[f64]) -> Vec<Vec<Token>> {
    let token = |s: usize, nll: &f64| Token { kl: kl[s], nll: nll + rise[s], agrees: kl[s] < 0.5 };
    original.iter().enumerate().map(|(s, losses)| losses.iter().map(|nll| token(s, nll)).collect()).collect()
}

fn original(sequences: usize) -> Vec<Vec<f64>> {
    (0..sequences).map(|s| vec![3.0 + s as f64 / 10.0; TOKENS]).collect()
}

#[test]
fn numbers_by_hand() {
    let original = original(4);
    let ours = damage(&[0.1, 0.2, 0.3, 0.2], &original, &[0.1, 0.1, 0.2, 0.2]);
    let uniform = damage(&[0.4, 0.4, 0.6, 0.6], &original, &[0.2, 0.3, 0.3, 0.4]);
    let rule = damage(&[0.2, 0.1, 0.2, 0.3], &original, &[0.1, 0.2, 0.2, 0.1]);
    let arms = [arm(Role::Uniform, 1000, uniform), arm(Role::Ours, 1000, ours), arm(Role::Rule, 1001, rule)];
    let proof = prove(&original, &arms, 0).unwrap();
    assert_eq!((proof.tokens, proof.sequences), (40, 4));
    assert_eq!(proof.arms.iter().map(|a| a.role).collect::<Vec<_>>(), [Role::Ours, Role::Uniform, Role::Rule]);
    let beside = |role| proof.arm(role).unwrap().ours_beside.clone().unwrap();
    let (uniform, rule) = (beside(Role::Uniform), beside(Role::Rule));
    // Means over sequences: KL .2 beside .5 and .2; rises .15 beside .3 and .15; original 3.15.
    assert_close(proof.nll_original.value, 3.15, Within::Absolute(1e-12));
    assert_close([uniform.kl.value, rule.kl.value], [-0.3, 0.0], Within::Absolute(1e-12));
    assert_close([uniform.nll.value, rule.nll.value], [-0.15, 0.0], Within::Absolute(1e-12));
    assert_close(uniform.gap_closed.unwrap().value, 0.5, Within::Absolute(1e-12));
    assert_close(uniform.gap_closed_kl.unwrap().value, 0.6, Within::Absolute(1e-12));
    assert_close(proof.arms[0].perplexity, (3.3_f64).exp(), Within::Relative(1e-12));
    assert_close(proof.arms[1].damage.top1.value, 0.5, Within::Absolute(1e-12));
    // Every difference of KL to uniform is below 0, those to the rule are on both sides: the worse of the two counts.
    assert_eq!((uniform.verdict, rule.verdict), (Verdict::Helps, Verdict::NoDifference));
    assert_eq!(proof.verdict, Some(Verdict::NoDifference));
    let said = proof.sentences().join("\n");
    assert!(said.contains("against uniform: helps") && said.contains("against rule: no difference"), "{said}");
    assert!(said.contains("closes 50.0") && said.contains("verdict: no difference"), "{said}");
    assert!(proof.notes.iter().any(|note| note.contains("4 sequences are few")), "{:?}", proof.notes);
}

#[test]
fn the_99th_percentile_of_a_resample_is_that_of_its_tokens() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let sizes = [3, 70, 40, 1];
    let damage: Vec<Vec<Token>> = sizes
        .iter()
        .map(|n| (0..*n).map(|_| Token { kl: f64::from(rng.random_range(0..30)), nll: 0.0, agrees: true }).collect())
        .collect();
    let original: Vec<Vec<f64>> = sizes.iter().map(|n| vec![0.0; *n]).collect();
    let bootstrap = Bootstrap::new(4, 300, 1);
    // Written out: the tokens of the drawn sequences, sorted, between neighbours as numpy.percentile does.
    let mut expected: Vec<f64> = bootstrap
        .counts()
        .map(|counts| {
            let drawn = damage.iter().zip(counts).flat_map(|(s, n)| std::iter::repeat_n(s, usize::from(*n)).flatten());
            let mut all: Vec<f64> = drawn.map(|token| token.kl).collect();
            all.sort_by(f64::total_cmp);
            let place = 0.99 * (all.len() - 1) as f64;
            let (low, high) = (all[place.floor() as usize], all[place.ceil() as usize]);
            low + (place - place.floor()) * (high - low)
        })
        .collect();
    expected.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (expected.len() - 1) as f64;
        let (low, high) = (expected[place.floor() as usize], expected[place.ceil() as usize]);
        low + (place - place.floor()) * (high - low)
    };
    let (low, high) = Damage::of(&original, &damage, &bootstrap).unwrap().kl_p99.interval.unwrap();
    assert_close([low, high], [at(0.025), at(0.975)], Within::Absolute(1e-9));
}

#[test]
fn equal_arms_show_no_difference_and_worse_ones_hurt() {
    let original = original(12);
    let kl: Vec<f64> = (0..12).map(|s| 0.2 + 0.1 * f64::from(s % 3)).collect();
    let rise: Vec<f64> = kl.iter().map(|kl| kl / 2.0).collect();
    let more: Vec<f64> = kl.iter().map(|kl| kl + 0.01).collect();
    let [same, worse] = [&kl, &more].map(|kl| damage(kl, &original, &rise));
    let verdict = |ours: &Vec<Vec<Token>>, other: &Vec<Vec<Token>>| {
        let arms = [arm(Role::Ours, 500, ours.clone()), arm(Role::Uniform, 500, other.clone())];
        let proof = prove(&original, &arms, 3).unwrap();
        assert!(proof.notes.is_empty(), "{:?}", proof.notes);
        (proof.verdict, proof.arms[1].ours_beside.clone().unwrap())
    };
    let (found, beside) = verdict(&same, &same);
    assert_eq!((found, beside.kl.value, beside.kl.interval), (Some(Verdict::NoDifference), 0.0, Some((0.0, 0.0))));
    assert_eq!(beside.gap_closed.unwrap().value, 0.0);
    // A small difference that every sequence shows, though sequences differ by much more.
    assert_eq!(verdict(&worse, &same).0, Some(Verdict::Hurts));
    assert_eq!(verdict(&same, &worse).0, Some(Verdict::Helps));
}

#[test]
fn arms_of_another_size_take_no_part() {
    for (bytes, same) in [(10_000, true), (10_010, true), (9_990, true), (10_011, false), (9_989, false)] {
        assert_eq!(is_same_size(bytes, 10_000), same, "{bytes}");
    }
    let original = original(12);
    let [good, bad] = [0.1, 0.2].map(|kl| damage(&[kl; 12], &original, &[kl; 12]));
    let arms = [arm(Role::Ours, 10_000, good), arm(Role::Uniform, 10_011, bad)];
    let proof = prove(&original, &arms, 0).unwrap();
    assert!(proof.verdict.is_none() && proof.arm(Role::Uniform).is_none() && !proof.arms[1].same_size);
    assert!(
        proof.notes.iter().any(|note| note.contains("another size") && note.contains("uniform")),
        "{:?}",
        proof.notes
    );
    assert!(proof.sentences().join("\n").contains("no verdict"));
}

#[test]
fn no_rise_no_gap() {
    let original = original(12);
    let lower = damage(&[0.1; 12], &original, &[-0.1; 12]);
    let nothing = damage(&[0.0; 12], &original, &[0.0; 12]);
    let arms = [arm(Role::Ours, 1, lower.clone()), arm(Role::Uniform, 1, nothing), arm(Role::Rule, 1, lower)];
    let proof = prove(&original, &arms, 0).unwrap();
    let [uniform, rule] = [1, 2].map(|at| proof.arms[at].ours_beside.clone().unwrap());
    assert!(uniform.gap_closed.is_none() && uniform.gap_closed_kl.is_none() && rule.gap_closed.is_none());
    assert_eq!(rule.gap_closed_kl.unwrap().value, 0.0);
}

/// Of damages that differ from sequence to sequence as real ones do, nineteen intervals in twenty hold what is true of all text.
#[test]
fn intervals_of_the_gap_hold_what_is_true() {
    const TRIALS: usize = 300;
    let (mut held, mut found) = (0, 0);
    for trial in 0..TRIALS {
        let mut rng = ChaCha8Rng::seed_from_u64(trial as u64);
        let original = original(24);
        // Means .3 and .2 of rises and of KL: a third of the gap. A sequence is hard for both.
        let mut draw = |mean: f64, hard: f64| mean * (0.6 * hard + 0.8 * rng.random_range(0.0..1.0) + 0.3);
        let mut hard = ChaCha8Rng::seed_from_u64(1_000_000 + trial as u64);
        let (mut ours, mut uniform) = (Vec::new(), Vec::new());
        for _ in 0..24 {
            let hard = hard.random_range(0.0..1.0);
            uniform.push(draw(0.3, hard));
            ours.push(draw(0.2, hard));
        }
        let [ours, uniform] = [&ours, &uniform].map(|values| damage(values, &original, values));
        let same = damage(&uniform.iter().map(|s| s[0].kl).collect::<Vec<_>>(), &original, &[0.1; 24]);
        let arms = [arm(Role::Ours, 1, ours), arm(Role::Uniform, 1, uniform), arm(Role::Random, 1, same)];
        let proof = prove(&original, &arms, 0).unwrap();
        let (low, high) = proof.arms[1].ours_beside.as_ref().unwrap().gap_closed.unwrap().interval.unwrap();
        held += usize::from(low <= 1.0 / 3.0 && 1.0 / 3.0 <= high);
        found += usize::from(proof.verdict == Some(Verdict::Helps));
    }
    let share = held as f64 / TRIALS as f64;
    assert!((0.90..0.98).contains(&share), "{share}");
    assert!(found > TRIALS * 9 / 10, "{found}");
}

#[test]
fn a_plan_that_does_nothing_is_rarely_called_one_that_does_something() {
    const TRIALS: usize = 300;
    let mut wrong = 0;
    for trial in 0..TRIALS {
        let mut rng = ChaCha8Rng::seed_from_u64(trial as u64);
        let original = original(24);
        let mut any = || (0..24).map(|_| rng.random_range(0.1..0.3)).collect::<Vec<f64>>();
        let [ours, uniform] = [any(), any()].map(|values| damage(&values, &original, &values));
        let arms = [arm(Role::Ours, 1, ours), arm(Role::Uniform, 1, uniform)];
        wrong += usize::from(prove(&original, &arms, 0).unwrap().verdict != Some(Verdict::NoDifference));
    }
    // One in twenty, and what 24 sequences make of it.
    assert!(wrong < TRIALS / 10, "{wrong}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let original = original(3);
    let good = damage(&[0.1; 3], &original, &[0.1; 3]);
    let mut infinite = good.clone();
    infinite[1][2].nll = f64::INFINITY;
    infinite[2][2].kl = f64::NAN;
    let found = prove(&original, &[arm(Role::Ours, 1, good.clone()), arm(Role::Uniform, 1, infinite)], 0);
    assert_eq!(found.unwrap_err(), ProofError::NotFinite { arm: "uniform".to_owned(), tokens: 2 });
    let short = good[..2].to_vec();
    let found = prove(&original, &[arm(Role::Ours, 1, good.clone()), arm(Role::Rule, 1, short)], 0);
    assert_eq!(found.unwrap_err(), ProofError::Tokens { arm: "rule".to_owned() });
    assert_eq!(prove(&original, &[arm(Role::Rule, 1, good.clone())], 0).unwrap_err(), ProofError::NoPlan);
    let nothing = vec![Vec::new(); 3];
    assert_eq!(prove(&nothing, &[arm(Role::Ours, 1, vec![Vec::new(); 3])], 0).unwrap_err(), ProofError::NoTokens);
    // One sequence: numbers, no intervals, no verdict but one.
    let one = [arm(Role::Ours, 1, good[..1].to_vec()), arm(Role::Uniform, 1, damage(&[9.0], &original[..1], &[9.0]))];
    let proof = prove(&original[..1], &one, 0).unwrap();
    assert_eq!((proof.verdict, proof.arms[0].damage.kl.interval), (Some(Verdict::NoDifference), None));
}
