//! A proof on the terminal, as wide as that is.

use std::io::{self, Write};

use tomo_render::escape::plain;
use tomo_verify::proof::{Measured, Proof};

use super::numbers::count;
use super::table::Table;
use crate::proof_file::{Circumstances, nats, percent, step_sentence, with_interval};

/// Prints what was found.
pub(crate) fn print(proof: &Proof, about: &Circumstances, width: usize, out: &mut dyn Write) -> io::Result<()> {
    if let Some((refined, on)) = &about.refined {
        wrapped(&format!("refined on {on}, {:.0} measurements:", refined.spent), width, out)?;
        refined.steps.iter().try_for_each(|step| wrapped(&format!("- {}", step_sentence(step)), width, out))?;
        writeln!(out)?;
    }
    let mut table = Table::new(&["", "bits", "KL", "95 %", "loss", "p99", "top-1", "bytes"]);
    let original = format!("{:.3}", proof.nll_original.value);
    table.row(["as it is", "", "0", "", &original, "0", "100.0", ""].map(str::to_owned).to_vec());
    for Measured { name, bytes, bits_per_weight, same_size, damage, .. } in &proof.arms {
        let range = damage.kl.interval.map(|(low, high)| format!("{} - {}", nats(low), nats(high)));
        table.row(vec![
            format!("{}{}", plain(name, 24), if *same_size { "" } else { " *" }),
            format!("{bits_per_weight:.2}"),
            nats(damage.kl.value),
            range.unwrap_or_default(),
            format!("{:.3}", damage.nll.value),
            nats(damage.kl_p99.value),
            percent(damage.top1.value),
            count(*bytes),
        ]);
    }
    table.print(width, out)?;
    if proof.arms.iter().any(|arm| !arm.same_size) {
        wrapped("* of another size than the plan: no part of the verdict", width, out)?;
    }
    writeln!(out)?;
    let loss = with_interval(&proof.nll_original, &|x| format!("{x:.3}"));
    let (tokens, sequences) = (count(proof.tokens as u64), proof.sequences);
    let on = format!(
        "{tokens} tokens predicted in {sequences} sequences of {}; loss of the model as it is {loss} nats per token",
        about.text
    );
    wrapped(&on, width, out)?;
    about.notes.iter().chain(&proof.notes).try_for_each(|note| wrapped(&format!("note: {note}"), width, out))?;
    writeln!(out)?;
    proof.sentences().iter().try_for_each(|sentence| wrapped(sentence, width, out))
}

fn wrapped(line: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let line = plain(line, 600);
    textwrap::wrap(&line, width.max(20)).into_iter().try_for_each(|part| writeln!(out, "{part}"))
}
