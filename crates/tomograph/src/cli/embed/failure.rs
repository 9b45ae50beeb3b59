use std::error::Error;
use std::io;

use tomo_checkpoint::ErrorKind;
use tomo_map::{DifferenceError, MapError, SelectionError, ViewError};
use tomo_metrics::{CausalError, ScanError, UnknownMetric};
use tomo_model::ModelError;
use tomo_model::change::ChangeError;
use tomo_model::engine::EngineError;
use tomo_plan::PlanError;
use tomo_render::RenderError;
use tomo_text::{TextError, TextErrorKind};
use tomo_verify::VerifyError;
use tomo_verify::proof::ProofError;

use crate::cli::said;

/// What is known of an error.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Failure {
    /// What went wrong, as one word for a program: see [`Failure::KINDS`].
    pub kind: &'static str,
    /// What the command line says.
    pub message: String,
    /// Where: a file, a tensor, a byte, a key of the config.
    pub site: Option<String>,
    /// What should have been there.
    pub expected: Option<String>,
    /// What was there.
    pub found: Option<String>,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// Every kind, and what it means.
    pub const KINDS: [(&'static str, &'static str); 17] = [
        ("usage", "the options are wrong"),
        ("io", "a file cannot be read or written"),
        ("hub", "the hub, or another store of checkpoints, refused or could not be reached"),
        ("malformed", "a file is damaged, or not of the format it claims to be"),
        ("unsupported", "a sound file uses something that is not supported"),
        ("missing", "a tensor, a key or a tokenizer is not there"),
        ("model", "the checkpoint is not understood: its family, its config, its shapes"),
        ("run", "the model cannot be run: its memory, its weights, the tokens"),
        ("text", "the text cannot be used"),
        ("metric", "there is no such metric, or it cannot be had here"),
        ("own", "a metric of the caller's failed"),
        ("change", "a change to a model is not understood or cannot be made"),
        ("map", "a map is damaged, or cannot be shown or compared like this"),
        ("plan", "there is no plan, or no recipe"),
        ("verify", "nothing can be said about a plan or a map"),
        ("internal", "a bug of this library"),
        ("failed", "none of the others"),
    ];

    /// What is known of `error`: from its fields where the error has them, else from the lines `label: value` that messages consist of.
    pub fn of(error: &anyhow::Error) -> Self {
        if let Some(usage) = error.chain().find_map(|e| e.downcast_ref::<clap::Error>()) {
            let text = usage.render().to_string();
            let message = text.trim_end().trim_start_matches("error: ").to_owned();
            return Self { kind: "usage", message, ..Self::default() };
        }
        let message = said(error);
        let kind = error.chain().find_map(kind_of).unwrap_or("failed");
        let mut failure = Self { kind, ..Self::default() };
        error.chain().for_each(|cause| failure.take_fields(cause));
        failure.take_lines(&message);
        Self { message, ..failure }
    }

    /// A bug: what a panic said.
    pub fn of_panic(payload: &(dyn std::any::Any + Send)) -> Self {
        let said = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied());
        let message = format!("this is a bug: {}", said.unwrap_or("a panic without a message"));
        let hint = "report it with what you called and the model's inspect".to_owned();
        Self { kind: "internal", message, hint: Some(hint), ..Self::default() }
    }

    /// Fields of errors that hand them out.
    fn take_fields(&mut self, cause: &(dyn Error + 'static)) {
        if let Some(error) = checkpoint_error(cause) {
            let site = error.site();
            self.fill(&site.iter().map(String::as_str).collect::<Vec<_>>().join(", "), Field::Site);
            for (text, field) in [
                (error.what_was_expected(), Field::Expected),
                (error.what_was_found(), Field::Found),
                (error.what_to_do(), Field::Hint),
            ] {
                self.fill(text.unwrap_or_default(), field);
            }
        }
        if let Some(error) = cause.downcast_ref::<MapError>() {
            self.fill(error.place(), Field::Site);
            self.fill(error.expected(), Field::Expected);
            self.fill(error.found(), Field::Found);
        }
        if let Some(ScanError::Own { metric, cell, .. }) = cause.downcast_ref::<ScanError>() {
            self.fill(&format!("metric {metric}, cell {cell}"), Field::Site);
        }
    }

    /// Fields from the lines of a message, where they are not known already: the house's form of errors is a clause, then lines
    /// `  label: value`.
    fn take_lines(&mut self, message: &str) {
        let known = self.clone();
        let mut sites = Vec::new();
        for line in message.lines().skip(1) {
            let Some((label, value)) = line.trim_start().split_once(": ") else { continue };
            match label {
                "expected" => self.fill(value, Field::Expected),
                "found" => self.fill(value, Field::Found),
                "hint" => self.fill(value, Field::Hint),
                "file" | "path" | "tensor" | "byte" | "key" | "place" | "where" | "cell" => {
                    sites.push(format!("{label} {value}"));
                }
                _ => {}
            }
        }
        if known.site.is_none() && !sites.is_empty() {
            self.site = Some(sites.join(", "));
        }
    }

    /// Sets a field unless it is set; the outermost error knows best.
    fn fill(&mut self, value: &str, field: Field) {
        let place = match field {
            Field::Site => &mut self.site,
            Field::Expected => &mut self.expected,
            Field::Found => &mut self.found,
            Field::Hint => &mut self.hint,
        };
        if place.is_none() && !value.is_empty() {
            *place = Some(value.to_owned());
        }
    }
}

#[derive(Clone, Copy)]
enum Field {
    Site,
    Expected,
    Found,
    Hint,
}

/// The error of a checkpoint, also inside one that shows it as its own.
fn checkpoint_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a tomo_checkpoint::Error> {
    if let Some(error) = cause.downcast_ref() {
        return Some(error);
    }
    match cause.downcast_ref() {
        Some(ScanError::Imatrix(error)) => return Some(error),
        Some(ScanError::Cell { source: ModelError::Checkpoint(error), .. }) => return Some(error),
        _ => {}
    }
    let model = match cause.downcast_ref() {
        Some(EngineError::Model(model)) => Some(model),
        _ => cause.downcast_ref(),
    };
    match model {
        Some(ModelError::Checkpoint(error)) => Some(error),
        _ => None,
    }
}

/// What one link of a chain of errors says of its kind.
fn kind_of(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = checkpoint_error(cause) {
        return Some(match error.kind() {
            ErrorKind::Io => "io",
            ErrorKind::Malformed => "malformed",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Missing => "missing",
            ErrorKind::Hub => "hub",
            _ => "failed",
        });
    }
    if let Some(error) = cause.downcast_ref::<TextError>() {
        return Some(match error.kind() {
            TextErrorKind::Io => "io",
            TextErrorKind::Missing => "missing",
            TextErrorKind::Malformed => "malformed",
            TextErrorKind::Unsupported => "unsupported",
            TextErrorKind::Text | TextErrorKind::Vocabulary => "text",
            _ => "failed",
        });
    }
    match cause.downcast_ref::<ScanError>() {
        Some(ScanError::Own { .. }) => return Some("own"),
        // Its cause says more.
        Some(ScanError::Cell { .. }) => return None,
        Some(_) => return Some("run"),
        None => {}
    }
    let is = [
        (cause.is::<ModelError>(), "model"),
        (cause.is::<EngineError>(), "run"),
        (cause.is::<CausalError>(), "run"),
        (cause.is::<UnknownMetric>(), "metric"),
        (cause.is::<ChangeError>() || cause.is::<SelectionError>(), "change"),
        (cause.is::<MapError>() || cause.is::<ViewError>(), "map"),
        (cause.is::<DifferenceError>() || cause.is::<RenderError>(), "map"),
        (cause.is::<PlanError>(), "plan"),
        (cause.is::<VerifyError>() || cause.is::<ProofError>(), "verify"),
        (cause.is::<io::Error>(), "io"),
    ];
    is.into_iter().find_map(|(is, kind)| is.then_some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_message_are_its_fields() {
        let error = anyhow::anyhow!(
            "no such thing\n  file: a.gguf\n  tensor: q\n  expected: one: or two\n  found: three\n  hint: look"
        );
        let failure = Failure::of(&error);
        assert_eq!(failure.kind, "failed");
        assert_eq!(failure.site.as_deref(), Some("file a.gguf, tensor q"));
        assert_eq!(failure.expected.as_deref(), Some("one: or two"));
        assert_eq!(failure.found.as_deref(), Some("three"));
        assert_eq!(failure.hint.as_deref(), Some("look"));
    }

    #[test]
    fn fields_of_a_checkpoint_error_are_taken_as_they_are() {
        let inner = tomo_checkpoint::Error::new(ErrorKind::Malformed, "cut short")
            .in_file("m.gguf".as_ref())
            .at_byte(7)
            .expected("lines:\n  hint: of a file")
            .hint("again");
        let error = anyhow::Error::from(ModelError::from(inner)).context("cannot open");
        let failure = Failure::of(&error);
        assert_eq!((failure.kind, failure.site.as_deref()), ("malformed", Some("file m.gguf, byte 7")));
        assert_eq!(failure.expected.as_deref(), Some("lines:\n  hint: of a file"));
        assert_eq!(failure.hint.as_deref(), Some("again"));
        assert!(failure.message.starts_with("cannot open"), "{}", failure.message);
    }
}
