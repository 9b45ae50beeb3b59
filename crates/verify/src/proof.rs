//! Does a plan help? What it does to the predictions of a model, beside other ways of spending as many bytes.
//!
//! # Rule
//! An arm is a way of storing the model's cells. Of all arms that take as many bytes as the plan, within 0.1 %, the same tokens say
//! how far each is from the unchanged model. The plan *helps* against another arm where the 95 % interval of the difference of mean KL,
//! plan minus other, paired over sequences, lies below 0; it *hurts* where that interval lies above 0; else there is *no difference*
//! that this text could show. KL and not the loss decides, because it is less noisy: it compares whole distributions and
//! is 0 for the unchanged model. The difference of the loss stands beside it.
//!
//! The verdict on the plan is the worse of those against uniform and against the client's own rule, where both took part: a plan that does
//! not beat what the client does by itself is not worth its trouble.

use serde::Serialize;
use tomo_map::stats::Bootstrap;

use crate::damage::{Damage, Estimate, Sequences, Token, sums};

/// Arms whose bytes differ from the plan's by more than this share take no part in the verdict.
pub const SAME_SIZE: f64 = 0.001;

/// Samples of the sequences that intervals are taken from.
const RESAMPLES: usize = 2000;

/// Fewer sequences than this make intervals too narrow, and that is said.
const FEW_SEQUENCES: usize = 10;

/// What an arm is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The plan in question.
    Ours,
    /// The plan before it was refined.
    Before,
    /// Every cell stored alike, as far as the bytes allow.
    Uniform,
    /// As the client would by itself.
    Rule,
    /// The plan's decisions on cells drawn at random.
    Random,
    /// The plan turned round.
    Inverted,
    /// Another plan.
    Other,
}

/// A way of storing the cells, and what became of the model.
#[derive(Clone, PartialEq, Debug)]
pub struct Arm {
    /// What to call it.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Bytes that the cells take.
    pub bytes: u64,
    /// Bits per weight of the cells.
    pub bits_per_weight: f64,
    /// What every token says, sequence by sequence.
    pub damage: Vec<Vec<Token>>,
}

/// What an arm did.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Measured {
    /// What to call it.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Bytes that the cells take.
    pub bytes: u64,
    /// Bits per weight of the cells.
    pub bits_per_weight: f64,
    /// Whether that is as many as the plan takes, within [`SAME_SIZE`]; else it takes no part in the verdict.
    pub same_size: bool,
    /// `exp` of the mean negative log likelihood.
    pub perplexity: f64,
    /// How far it is from the unchanged model.
    #[serde(flatten)]
    pub damage: Damage,
    /// The plan beside it; nothing of the plan itself.
    pub ours_beside: Option<Beside>,
}

/// The plan beside another arm, paired over sequences.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Beside {
    /// Mean KL of the plan minus that of the other, nats per token.
    pub kl: Estimate,
    /// Mean negative log likelihood of the plan minus that of the other, nats per token.
    pub nll: Estimate,
    /// Share of the other's rise of the loss over the unchanged model that the plan takes back; nothing where that rise is not above 0
    /// outside its interval.
    pub gap_closed: Option<Estimate>,
    /// Share of the other's KL that the plan takes back; nothing where that is 0.
    pub gap_closed_kl: Option<Estimate>,
    /// What the interval of the KL says.
    pub verdict: Verdict,
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Worse, outside the interval.
    Hurts,
    /// Neither better nor worse outside the interval.
    NoDifference,
    /// Better, outside the interval.
    Helps,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Hurts => "hurts",
            Self::NoDifference => "no difference",
            Self::Helps => "helps",
        }
    }

    /// Of a difference that is better where it is lower.
    fn of(difference: &Estimate) -> Self {
        match difference.interval {
            Some((_, high)) if high < 0.0 => Self::Helps,
            Some((low, _)) if low > 0.0 => Self::Hurts,
            _ => Self::NoDifference,
        }
    }
}

/// A plan beside the other arms.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Proof {
    /// The plan first, then the others as they were given.
    pub arms: Vec<Measured>,
    /// Mean negative log likelihood of the unchanged model, nats per token.
    pub nll_original: Estimate,
    /// Predicted tokens.
    pub tokens: usize,
    /// Sequences.
    pub sequences: usize,
    /// The worse of the verdicts against uniform and the client's rule; nothing where neither took part.
    pub verdict: Option<Verdict>,
    /// What a reader has to know, whole sentences without the full stop.
    pub notes: Vec<String>,
}

/// Why there is no proof.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError {
    /// Nothing was predicted.
    #[error("no token was predicted: expected sequences of at least 2 tokens")]
    NoTokens,
    /// An arm says something of other tokens.
    #[error("{arm} is of other tokens than the unchanged model")]
    Tokens {
        /// Its name.
        arm: String,
    },
    /// An arm that leaves the range of numbers.
    #[error("{arm} leaves the range of f32\n  found: {tokens} tokens without a finite loss")]
    NotFinite {
        /// Its name.
        arm: String,
        /// How many.
        tokens: usize,
    },
    /// No arm is the plan.
    #[error("none of the arms is the plan")]
    NoPlan,
}

/// Compares arms on the same tokens. `original` are the losses of the unchanged model, by sequence; the first arm of role
/// [`Role::Ours`] is the plan.
///
/// # Errors
/// [`ProofError`]: arms of other tokens, losses that are not finite, no plan among the arms.
pub fn prove(original: &[Vec<f64>], arms: &[Arm], seed: u64) -> Result<Proof, ProofError> {
    arms.iter().try_for_each(|arm| arm.check(original))?;
    let ours = arms.iter().find(|arm| arm.role == Role::Ours).ok_or(ProofError::NoPlan)?;
    let bootstrap = Bootstrap::new(original.len(), RESAMPLES, seed);
    let sequences = Sequences { tokens: original.iter().map(|s| s.len() as f64).collect(), bootstrap: &bootstrap };
    let others = arms.iter().filter(|arm| !std::ptr::eq(*arm, ours));
    let measured = std::iter::once(ours)
        .chain(others)
        .map(|arm| {
            let damage = Damage::of(original, &arm.damage, &bootstrap).ok_or(ProofError::NoTokens)?;
            let same_size = is_same_size(arm.bytes, ours.bytes);
            let is_ours = std::ptr::eq(arm, ours);
            Ok(Measured {
                name: arm.name.clone(),
                role: arm.role,
                bytes: arm.bytes,
                bits_per_weight: arm.bits_per_weight,
                same_size,
                perplexity: damage.nll.value.exp(),
                damage,
                ours_beside: (!is_ours).then(|| beside(original, ours, arm, &sequences)),
            })
        })
        .collect::<Result<Vec<Measured>, ProofError>>()?;
    let judges = measured.iter().filter(|arm| arm.same_size && matches!(arm.role, Role::Uniform | Role::Rule));
    let verdict = judges.filter_map(|arm| arm.ours_beside.as_ref()).map(|beside| beside.verdict).min();
    let Damage { nll_original, tokens, sequences, .. } = measured[0].damage;
    let notes = notes(&measured, sequences);
    Ok(Proof { arms: measured, nll_original, tokens, sequences, verdict, notes })
}

/// Whether `bytes` are as many as `ours`, within [`SAME_SIZE`].
pub fn is_same_size(bytes: u64, ours: u64) -> bool {
    bytes.abs_diff(ours) as f64 <= SAME_SIZE * ours as f64
}

impl Arm {
    fn check(&self, original: &[Vec<f64>]) -> Result<(), ProofError> {
        let same = self.damage.len() == original.len()
            && self.damage.iter().zip(original).all(|(own, original)| own.len() == original.len());
        if !same {
            return Err(ProofError::Tokens { arm: self.name.clone() });
        }
        let lost = |token: &&Token| !(token.kl.is_finite() && token.nll.is_finite());
        match self.damage.iter().flatten().filter(lost).count() {
            0 => Ok(()),
            tokens => Err(ProofError::NotFinite { arm: self.name.clone(), tokens }),
        }
    }
}

fn beside(original: &[Vec<f64>], ours: &Arm, other: &Arm, sequences: &Sequences<'_>) -> Beside {
    let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
    let before: Vec<f64> = original.iter().map(|s| s.iter().sum()).collect();
    let [kl, kl_other] = [ours, other].map(|arm| sums(&arm.damage, |token| token.kl));
    let [nll, nll_other] = [ours, other].map(|arm| sums(&arm.damage, |token| token.nll));
    let difference = sequences.mean(&minus(&kl, &kl_other));
    let rise = minus(&nll_other, &before);
    let above_zero = |estimate: Estimate| estimate.interval.is_some_and(|(low, _)| low > 0.0);
    Beside {
        verdict: Verdict::of(&difference),
        kl: difference,
        nll: sequences.mean(&minus(&nll, &nll_other)),
        gap_closed: above_zero(sequences.mean(&rise)).then(|| sequences.ratio(&minus(&nll_other, &nll), &rise)),
        gap_closed_kl: above_zero(sequences.mean(&kl_other))
            .then(|| sequences.ratio(&minus(&kl_other, &kl), &kl_other)),
    }
}

fn notes(arms: &[Measured], sequences: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if sequences < 2 {
        notes.push("one sequence gives no intervals, and so no verdict but \"no difference\"".to_owned());
    } else if sequences < FEW_SEQUENCES {
        notes.push(format!("{sequences} sequences are few: intervals from so few are too narrow"));
    }
    let others: Vec<&str> = arms.iter().filter(|arm| !arm.same_size).map(|arm| arm.name.as_str()).collect();
    if !others.is_empty() {
        notes.push(format!(
            "of another size than the plan by more than {} %, and so no part of the verdict: {}",
            100.0 * SAME_SIZE,
            others.join(", ")
        ));
    }
    notes
}

impl Proof {
    /// The arm of a role that the verdict is about.
    pub fn arm(&self, role: Role) -> Option<&Measured> {
        self.arms.iter().find(|arm| arm.role == role && arm.same_size)
    }

    /// The verdict in a sentence for each arm that it was found against, then as a whole; without full stops.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<String> =
            [Role::Uniform, Role::Rule].into_iter().filter_map(|role| self.arm(role)).filter_map(sentence).collect();
        sentences.push(match self.verdict {
            Some(Verdict::Helps) => "verdict: helps. Use this plan".to_owned(),
            Some(Verdict::NoDifference) => "verdict: no difference that this text shows".to_owned(),
            Some(Verdict::Hurts) => "verdict: hurts. Do not use this plan".to_owned(),
            None => "no verdict: neither uniform nor the client's rule at as many bytes was measured".to_owned(),
        });
        sentences
    }
}

fn sentence(arm: &Measured) -> Option<String> {
    let beside = arm.ours_beside.as_ref()?;
    let interval = |estimate: &Estimate, print: &dyn Fn(f64) -> String| {
        let range = estimate.interval.map(|(low, high)| format!(" [{}, {}]", print(low), print(high)));
        format!("{}{}", print(estimate.value), range.unwrap_or_default())
    };
    let signed = |x: f64| format!("{x:+.4}");
    let percent = |x: f64| format!("{:.1}", 100.0 * x);
    let gap = |estimate: &Option<Estimate>, of: &str| match estimate {
        Some(estimate) => format!("closes {} % of its {of}", interval(estimate, &percent)),
        None => format!("has no {of} of it to close"),
    };
    Some(format!(
        "against {}: {}; KL {}, loss {} nats per token; {}, {}",
        arm.name,
        beside.verdict.words(),
        interval(&beside.kl, &signed),
        interval(&beside.nll, &signed),
        gap(&beside.gap_closed, "rise of the loss"),
        gap(&beside.gap_closed_kl, "KL"),
    ))
}
