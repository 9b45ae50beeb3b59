//! Prompts with completions: sequences of which only the answers' tokens are scored.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tomo_render::escape::plain;
use tomo_text::{Tokenizer, Windows};

/// More bytes than anybody scores a model by; keeps a wrong file from filling memory.
const MAX_BYTES: u64 = 1 << 30;

/// Sequences of a prompt and its completion each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answers {
    /// What is run: BOS where the model was trained with it, the prompt, the completion.
    pub windows: Windows,
    /// Per sequence, the positions of the completion's tokens.
    pub positions: Vec<Vec<usize>>,
}

/// How much is taken.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits {
    /// Tokens of all sequences together; items are taken in order while they fit, at least one.
    pub tokens: usize,
    /// Tokens of one sequence: longer prompts lose their beginning.
    pub sequence: usize,
}

impl Answers {
    /// Reads JSON lines with the keys `prompt` and `completion`. The two are tokenized by themselves and joined, so that the
    /// border between them is one between tokens; a completion that follows a blank begins with it.
    ///
    /// # Errors
    /// A file that cannot be read; a line that is no such object, or whose completion is empty or longer than a sequence (with
    /// its number); text that the tokenizer cannot encode.
    pub fn read(path: &Path, tokenizer: &Tokenizer, limits: AnswerLimits) -> anyhow::Result<Self> {
        let place = || format!("cannot read {}", path.display());
        let length = fs::metadata(path).with_context(place)?.len();
        ensure!(length <= MAX_BYTES, "{} is too large: expected at most 1 GiB, found {length} bytes", path.display());
        let text = fs::read_to_string(path).with_context(place)?;
        let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
        let mut answers = Self {
            windows: Windows { sequences: Vec::new(), notes: Vec::new(), description: String::new() },
            positions: Vec::new(),
        };
        let (mut items, mut taken, mut cut) = (0, 0, 0);
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            items += 1;
            let item = Item::read(line, tokenizer, bos, limits.sequence)
                .with_context(|| format!("line {number} of {}", path.display()))?;
            if taken > 0 && taken + item.tokens.len() > limits.tokens {
                continue;
            }
            taken += item.tokens.len();
            cut += usize::from(item.is_cut);
            answers.positions.push((item.answer_starts..item.tokens.len()).collect());
            answers.windows.sequences.push(item.tokens);
        }
        ensure!(items > 0, "{} has no line: expected JSON objects with \"prompt\" and \"completion\"", path.display());
        answers.describe(path, items, cut);
        Ok(answers)
    }

    fn describe(&mut self, path: &Path, items: usize, cut: usize) {
        let taken = self.positions.len();
        if taken < items {
            let note = format!("{taken} of {items} answers fit into --tokens; the others are left out");
            self.windows.notes.push(note);
        }
        if cut > 0 {
            self.windows
                .notes
                .push(format!("{cut} prompts are longer than --sequence allows and lose their beginning"));
        }
        let scored: usize = self.positions.iter().map(Vec::len).sum();
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let tokens = self.windows.tokens();
        self.windows.description =
            format!("{scored} answer tokens of {tokens} in {taken} sequences from {}", plain(&name, 80));
    }
}

/// One prompt with its completion.
struct Item {
    tokens: Vec<u32>,
    /// Position of the first token that is scored: never that of the sequence's first, which nothing predicts.
    answer_starts: usize,
    is_cut: bool,
}

impl Item {
    fn read(line: &str, tokenizer: &Tokenizer, bos: Option<u32>, most: usize) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_str(line).context("expected a JSON object")?;
        let text = |key: &str| match value.get(key).and_then(Value::as_str) {
            Some(text) => Ok(text),
            None => bail!("expected a string under {key:?}, found none"),
        };
        let (prompt, completion) = (tokenizer.encode(text("prompt")?)?, tokenizer.encode(text("completion")?)?);
        let before = usize::from(bos.is_some());
        // Something has to stand before the first token that is predicted.
        let least = completion.len() + before.max(1);
        ensure!(!completion.is_empty(), "expected a completion of at least one token, found none");
        ensure!(
            least <= most,
            "expected a completion of at most {} tokens, found {}",
            most - before.max(1),
            completion.len()
        );
        let kept = prompt.len().min(most - before - completion.len());
        let mut tokens: Vec<u32> = bos.into_iter().collect();
        tokens.extend(&prompt[prompt.len() - kept..]);
        let answer_starts = tokens.len().max(1);
        tokens.extend(completion);
        ensure!(tokens.len() > answer_starts, "expected a prompt, or a completion of at least two tokens");
        Ok(Self { tokens, answer_starts, is_cut: kept < prompt.len() })
    }
}
