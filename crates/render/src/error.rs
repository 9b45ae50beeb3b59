/// Why something could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A picture larger than anybody can open.
    #[error("a picture of {layers} layers is too large: use ansi, csv or json")]
    TooLarge {
        /// Rows asked for.
        layers: u32,
    },
    /// A library refused what we gave it.
    #[error("{what}: {why}")]
    Library {
        /// What we were doing.
        what: &'static str,
        /// What the library said.
        why: String,
    },
    /// No output is called that, or has that file extension.
    #[error("unknown format {asked:?}: expected one of {known}")]
    UnknownFormat {
        /// What was asked for.
        asked: String,
        /// The registry's ids.
        known: String,
    },
}

impl RenderError {
    pub(crate) fn library(what: &'static str, why: impl ToString) -> Self {
        Self::Library { what, why: why.to_string() }
    }
}
