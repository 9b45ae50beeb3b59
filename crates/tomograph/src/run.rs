//! Running a model on text: what scans with activations, `imatrix` and `perplexity` share.

use std::borrow::Cow;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use crate::answers::{AnswerLimits, Answers};
use anyhow::ensure;
use tomo_metrics::Share;
use tomo_model::Model;
use tomo_model::engine::{Engine, EngineOptions, Input, MemoryPlan, Objective, Observer, Outcome, PassProgress, Until};
use tomo_text::{Text, Tokenizer, WindowOptions, Windows};

/// A model in a store holds at most this part of the memory budget in bytes it has fetched: a block's, as a rule.
const HELD_SHARE: u64 = 4;

/// Which text a model is run on.
#[derive(Clone, Debug)]
pub struct TextRequest {
    /// Files of plain text or JSON lines, `-` for standard input; the bundled sample where empty.
    pub files: Vec<PathBuf>,
    /// Key of the text in JSON lines.
    pub field: Option<String>,
    /// Tokens to run, at most.
    pub tokens: usize,
    /// Tokens per sequence.
    pub sequence: usize,
    /// Seed of the choice of windows.
    pub seed: u64,
    /// Exact token ids instead of a text: a JSON array of arrays.
    pub token_ids: Option<PathBuf>,
    /// A tokenizer.json to use instead of the checkpoint's own tokenizer.
    pub tokenizer: Option<PathBuf>,
    /// Prompts with completions instead of a text: JSON lines.
    pub answers: Option<PathBuf>,
    /// What gradients are taken of; of answers where there are some, unless said otherwise.
    pub loss: Option<LossChoice>,
}

/// Which tokens the loss is of that gradients are taken of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossChoice {
    /// All that are predicted.
    Text,
    /// Those of the completions alone.
    Answer,
}

impl Default for TextRequest {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            field: None,
            tokens: 8192,
            sequence: 512,
            seed: 0,
            token_ids: None,
            tokenizer: None,
            answers: None,
            loss: None,
        }
    }
}

/// By what means a model is run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Worker threads; the machine's where `None`.
    pub threads: Option<usize>,
    /// Bytes a pass may take; 60 % of what is free where `None`.
    pub memory_bytes: Option<u64>,
    /// Config keys that the user declares to change nothing.
    pub ignored_config_keys: Vec<String>,
}

/// A model ready to run, and the sequences it will run on.
pub struct Run {
    /// The engine.
    pub engine: Engine,
    /// What it runs on.
    pub windows: Windows,
    /// Tokens that the loss is of, where it is not of all.
    pub answers: Option<Vec<Vec<usize>>>,
}

impl Run {
    /// Settles the model's arithmetic, reads and tokenizes the text, and chooses the windows. `stdin` is read when the
    /// request names `-`.
    ///
    /// # Errors
    /// A config that is not understood, a text or tokenizer that cannot be used, a tokenizer of another model.
    pub fn new(
        model: &Arc<Model>,
        text: &TextRequest,
        options: &RunOptions,
        stdin: &mut dyn Read,
    ) -> anyhow::Result<Self> {
        let architecture = model.architecture_ignoring(&options.ignored_config_keys)?;
        let (windows, answers) = windows(model, architecture.vocab, text, stdin)?;
        let engine_options =
            EngineOptions { threads: options.threads, memory_bytes: options.memory_bytes, ..EngineOptions::default() };
        if let Some(memory) = options.memory_bytes {
            model.source().hold_at_most(memory / HELD_SHARE);
        }
        Ok(Self { engine: Engine::new(Arc::clone(model), architecture, engine_options)?, windows, answers })
    }

    /// Tokens of each sequence.
    pub fn lengths(&self) -> Vec<usize> {
        self.windows.sequences.iter().map(Vec::len).collect()
    }

    /// Those of the sequences that are in a share, in their order; all of them where there is none, or one of cells.
    pub(crate) fn sequences(&self, share: Option<&Share>) -> Cow<'_, [Vec<u32>]> {
        let all = &self.windows.sequences;
        match share {
            Some(Share::Sequences(numbers)) => numbers.iter().filter_map(|n| all.get(*n).cloned()).collect(),
            Some(Share::Cells(_)) | None => Cow::Borrowed(all),
        }
    }

    /// The same for a reverse pass; each with its number in the text.
    pub(crate) fn inputs(&self, share: Option<&Share>) -> Vec<Input> {
        let numbers: Vec<u64> = match share {
            Some(Share::Sequences(numbers)) => numbers.iter().map(|n| *n as u64).collect(),
            Some(Share::Cells(_)) | None => (0..self.windows.sequences.len() as u64).collect(),
        };
        let sequences = self.sequences(share).into_owned();
        let input = |(tokens, number)| Input { number: Some(number), ..Input::from(tokens) };
        sequences.into_iter().zip(numbers).map(input).collect()
    }

    /// The loss that gradients are taken of.
    pub fn objective(&self) -> Objective {
        Objective { positions: self.answers.as_ref().map(|p| p.clone().into()), ..Objective::text() }
    }

    /// Which tokens that loss is of, in words.
    pub fn loss(&self) -> String {
        match &self.answers {
            None => "all predicted tokens".to_owned(),
            Some(positions) => format!("{} answer tokens", positions.iter().map(Vec::len).sum::<usize>()),
        }
    }

    /// What a pass with these observers will take.
    ///
    /// # Errors
    /// More memory than it may take.
    pub fn plan(&self, observers: &[&dyn Observer], observer_bytes: u64, until: Until) -> anyhow::Result<MemoryPlan> {
        Ok(self.engine.plan(&self.lengths(), observers, observer_bytes, until)?)
    }

    /// The same for a pass over a share of the sequences.
    pub(crate) fn plan_share(
        &self,
        share: Option<&Share>,
        observers: &[&dyn Observer],
        observer_bytes: u64,
        until: Until,
    ) -> anyhow::Result<MemoryPlan> {
        let lengths: Vec<usize> = self.sequences(share).iter().map(Vec::len).collect();
        Ok(self.engine.plan(&lengths, observers, observer_bytes, until)?)
    }

    /// Runs the sequences through the model.
    ///
    /// # Errors
    /// What [`Engine::forward`] refuses.
    pub fn forward(
        &self,
        observers: &[&dyn Observer],
        plan: &MemoryPlan,
        until: Until,
        progress: &dyn PassProgress,
    ) -> anyhow::Result<Outcome> {
        Ok(self.engine.forward(&self.windows.sequences, observers, plan, until, progress)?)
    }
}

fn windows(
    model: &Model,
    vocab: usize,
    request: &TextRequest,
    stdin: &mut dyn Read,
) -> anyhow::Result<(Windows, Option<Vec<Vec<usize>>>)> {
    ensure!(
        request.answers.is_some() || request.loss != Some(LossChoice::Answer),
        "the loss of answers needs answers: give --answers a file of JSON lines with prompt and completion"
    );
    if let Some(path) = &request.token_ids {
        let windows = Windows::read_json(path)?;
        windows.check_vocabulary(vocab as u64)?;
        return Ok((windows, None));
    }
    let tokenizer = match &request.tokenizer {
        Some(path) => Tokenizer::from_file(path)?,
        None => Tokenizer::for_checkpoint(model.source())?,
    };
    tokenizer.check_vocabulary(vocab as u64)?;
    if let Some(path) = &request.answers {
        let limits = AnswerLimits { tokens: request.tokens, sequence: request.sequence };
        let Answers { windows, positions } = Answers::read(path, &tokenizer, limits)?;
        return Ok((windows, (request.loss != Some(LossChoice::Text)).then_some(positions)));
    }
    let text = match request.files.as_slice() {
        [] => Text::bundled(),
        files => Text::from_files(files, request.field.as_deref(), stdin)?,
    };
    let options = WindowOptions { tokens: request.tokens, sequence: request.sequence, seed: request.seed };
    Ok((Windows::choose(&tokenizer, &text, &options)?, None))
}

/// How well a model predicts the tokens it was run on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Perplexity {
    /// Mean negative log likelihood per predicted token, in nats.
    pub nll: f64,
    /// Its standard error over tokens, taken as independent: what llama-perplexity prints, and too small by as much as
    /// neighbouring tokens depend on each other.
    pub nll_stderr: f64,
    /// Its standard error over sequences; `None` for one sequence.
    pub nll_stderr_of_sequences: Option<f64>,
    /// `exp(nll)`.
    pub perplexity: f64,
    /// Its standard error: perplexity times that of the NLL over tokens.
    pub perplexity_stderr: f64,
    /// Tokens predicted: all but the first of each sequence.
    pub tokens: usize,
    /// Sequences.
    pub sequences: usize,
}

impl Perplexity {
    /// From the losses of a pass; `None` when there are none.
    pub fn of(losses: &[Vec<f64>]) -> Option<Self> {
        let tokens: usize = losses.iter().map(Vec::len).sum();
        if tokens == 0 {
            return None;
        }
        let count = tokens as f64;
        let nll = losses.iter().flatten().sum::<f64>() / count;
        let spread: f64 = losses.iter().flatten().map(|x| (x - nll).powi(2)).sum();
        let nll_stderr = if tokens > 1 { (spread / (count - 1.0) / count).sqrt() } else { 0.0 };
        // Sequences as clusters: the mean is a ratio of sums, so the residual of a sequence is its sum of deviations.
        let sequences = losses.len();
        let residual2: f64 = losses.iter().map(|s| s.iter().map(|x| x - nll).sum::<f64>().powi(2)).sum();
        let clusters = sequences as f64;
        let nll_stderr_of_sequences = (sequences > 1).then(|| (residual2 * clusters / (clusters - 1.0)).sqrt() / count);
        let perplexity = nll.exp();
        Some(Self {
            nll,
            nll_stderr,
            nll_stderr_of_sequences,
            perplexity,
            perplexity_stderr: perplexity * nll_stderr,
            tokens,
            sequences,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_errors_by_hand() {
        // Mean 2; squared deviations 1 + 1 + 4 + 4 = 10; 10 / 3 / 4.
        let losses = [vec![1.0, 3.0], vec![0.0, 4.0]];
        let found = Perplexity::of(&losses).unwrap();
        assert!((found.nll - 2.0).abs() < 1e-15 && found.tokens == 4 && found.sequences == 2);
        assert!((found.nll_stderr - (10.0_f64 / 12.0).sqrt()).abs() < 1e-15);
        assert!((found.perplexity - 2.0_f64.exp()).abs() < 1e-12);
        // Both sequences have the mean 2: they do not differ at all.
        assert_eq!(found.nll_stderr_of_sequences, Some(0.0));
        // Means 1 and 3 of two tokens each: deviations of the sums are -2 and 2, so sqrt(8 * 2 / 1) / 4.
        let apart = Perplexity::of(&[vec![1.0, 1.0], vec![3.0, 3.0]]).unwrap();
        assert!((apart.nll_stderr_of_sequences.unwrap() - 1.0).abs() < 1e-15);
        assert!(Perplexity::of(&[]).is_none() && Perplexity::of(&[vec![]]).is_none());
    }
}
