//! A proof as JSON, CSV and Markdown.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::{Value, json};
use tomo_map::significant;
use tomo_render::report::escape::{code, prose};
use tomo_verify::Estimate;
use tomo_verify::proof::{Measured, Proof};
use tomo_verify::refine::{Refined, Step};

/// Schema of the JSON.
pub const SCHEMA: &str = "tomograph.proof/1";

/// What was compared on which text.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Circumstances {
    /// The plan, as the user named it.
    pub plan: String,
    /// The model, as the user named it.
    pub model: String,
    /// Digest of its weights.
    pub model_digest: String,
    /// The held-out text in words.
    pub text: String,
    /// Digest of its tokens.
    pub text_digest: String,
    /// Seed of windows and resamples.
    pub seed: u64,
    /// Sentences without the full stop.
    pub notes: Vec<String>,
    /// How the plan was refined, if it was, and on which text.
    pub refined: Option<(Refined, String)>,
}

/// Everything, as one object.
///
/// # Errors
/// Never for a [`Proof`] that [`prove`](tomo_verify::proof::prove) returned.
pub fn to_json(proof: &Proof, about: &Circumstances) -> serde_json::Result<Value> {
    let mut whole = serde_json::to_value(proof)?;
    let notes: Vec<&String> = about.notes.iter().chain(&proof.notes).collect();
    let own = json!({
        "schema": SCHEMA, "plan": about.plan, "model": about.model, "model_digest": about.model_digest,
        "text": about.text, "text_digest": about.text_digest, "seed": about.seed, "notes": notes,
        "sentences": proof.sentences(),
        "refined": about.refined.as_ref().map(|(refined, _)| refined),
        "refined_on": about.refined.as_ref().map(|(_, text)| text),
    });
    if let (Value::Object(whole), Value::Object(own)) = (&mut whole, own) {
        whole.extend(own);
    }
    Ok(whole)
}

/// Tidy: one line per arm and statistic.
///
/// # Errors
/// When `out` fails.
pub fn write_csv(proof: &Proof, out: impl Write) -> csv::Result<()> {
    let mut out = csv::Writer::from_writer(out);
    out.write_record(["arm", "role", "bytes", "bits_per_weight", "same_size", "statistic", "value", "low", "high"])?;
    for arm in &proof.arms {
        let role = serde_json::to_value(arm.role).ok();
        for (statistic, estimate) in statistics(arm) {
            let (low, high) = estimate.interval.unzip();
            let text = |n: Option<f64>| n.map_or_else(String::new, |n| n.to_string());
            out.write_record([
                arm.name.as_str(),
                role.as_ref().and_then(Value::as_str).unwrap_or_default(),
                &arm.bytes.to_string(),
                &arm.bits_per_weight.to_string(),
                &arm.same_size.to_string(),
                statistic,
                &estimate.value.to_string(),
                &text(low),
                &text(high),
            ])?;
        }
    }
    out.flush()?;
    Ok(())
}

fn statistics(arm: &Measured) -> Vec<(&'static str, Estimate)> {
    let Measured { damage, ours_beside, .. } = arm;
    let mut all = vec![
        ("nll", damage.nll),
        ("nll_difference", damage.difference),
        ("kl", damage.kl),
        ("kl_p99", damage.kl_p99),
        ("top1", damage.top1),
    ];
    if let Some(beside) = ours_beside {
        all.extend([("ours_minus_kl", beside.kl), ("ours_minus_nll", beside.nll)]);
        all.extend(beside.gap_closed.map(|gap| ("gap_closed", gap)));
        all.extend(beside.gap_closed_kl.map(|gap| ("gap_closed_kl", gap)));
    }
    all
}

/// `0.215 [0.207, 0.224]`.
pub(crate) fn with_interval(estimate: &Estimate, print: &dyn Fn(f64) -> String) -> String {
    let range = estimate.interval.map(|(low, high)| format!(" [{}, {}]", print(low), print(high)));
    format!("{}{}", print(estimate.value), range.unwrap_or_default())
}

/// A divergence as tables show it.
pub(crate) fn nats(value: f64) -> String {
    if value.abs() < 0.1 { significant(value, 2) } else { format!("{value:.3}") }
}

/// A share in per cent.
pub(crate) fn percent(value: f64) -> String {
    format!("{:.1}", 100.0 * value)
}

/// What a step of refining did, in a sentence without the full stop.
pub(crate) fn step_sentence(step: &Step) -> String {
    match step {
        Step::Look { moves, whole, spent } => {
            format!("{moves} single moves looked at, {whole} of them on all sequences; {spent:.0} measurements spent")
        }
        Step::Joint { moves, marginals, change, taken, spent } => {
            let signed = |x: f64| format!("{x:+.4}");
            format!(
                "{} moves together: {} expected, KL {} nats per token, {}; {spent:.0} measurements spent",
                moves.len(),
                signed(marginals.iter().sum()),
                with_interval(change, &signed),
                if *taken { "taken" } else { "not taken" }
            )
        }
    }
}

/// The table for people, with how to read it.
pub fn to_markdown(proof: &Proof, about: &Circumstances) -> String {
    let mut text = format!("# Does {} help?\n\n", code(&about.plan));
    for sentence in proof.sentences() {
        let _ = writeln!(text, "- {}.", prose(&sentence));
    }
    let _ = writeln!(
        text,
        "\nModel {}, {} tokens predicted in {} sequences of {}; loss of the unchanged model {} nats per token.\n",
        code(&about.model),
        proof.tokens,
        proof.sequences,
        prose(&about.text),
        with_interval(&proof.nll_original, &nats)
    );
    text.push_str("| arm | bits | bytes | KL | loss | perplexity | KL p99 | top-1 % | gap closed % | of KL % |\n");
    text.push_str("|:--|--:|--:|:--|--:|--:|--:|--:|:--|:--|\n");
    for arm in &proof.arms {
        let Measured { damage, ours_beside, .. } = arm;
        let gap = |of: Option<Estimate>| of.map_or_else(|| "-".to_owned(), |gap| with_interval(&gap, &percent));
        let beside = ours_beside.as_ref();
        let _ = writeln!(
            text,
            "| {}{} | {:.3} | {} | {} | {:.4} | {:.3} | {} | {} | {} | {} |",
            prose(&arm.name),
            if arm.same_size { "" } else { " (another size)" },
            arm.bits_per_weight,
            arm.bytes,
            with_interval(&damage.kl, &nats),
            damage.nll.value,
            arm.perplexity,
            nats(damage.kl_p99.value),
            percent(damage.top1.value),
            gap(beside.and_then(|b| b.gap_closed)),
            gap(beside.and_then(|b| b.gap_closed_kl)),
        );
    }
    text.push('\n');
    for note in about.notes.iter().chain(&proof.notes) {
        let _ = writeln!(text, "- {}.", prose(note));
    }
    if let Some((refined, on)) = &about.refined {
        let _ = writeln!(text, "\n## Refined\n\nOn {}, {:.0} measurements:\n", prose(on), refined.spent);
        for step in &refined.steps {
            let _ = writeln!(text, "- {}.", prose(&step_sentence(step)));
        }
    }
    text.push_str(READING);
    text
}

const READING: &str = "\n## How to read it\n\n\
- All numbers are of the same tokens, in nats per token; in brackets 95 % intervals by a bootstrap over sequences, the same samples for \
all, so that differences are paired. Bytes are those of the cells; whatever is no cell is the same in all arms and as the checkpoint has it.\n\
- **gap closed**: how much of the arm's rise of the loss over the unchanged model the plan takes back; **of KL**: of its divergence.\n\
- A plan *helps* against another arm of the same size where the interval of the difference of KL, plan minus arm, lies below 0, and *hurts* where it \
lies above. KL decides and not the loss, since it is less noisy. The verdict is the worse of those against uniform and the client's own rule.\n";
