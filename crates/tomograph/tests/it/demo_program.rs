//! The program that trained the demo model, all but its loop over the engine.

#![allow(dead_code, reason = "what only the training itself needs")]

#[path = "../../examples/train_demo/adamw.rs"]
pub(crate) mod adamw;
#[path = "../../examples/train_demo/draw.rs"]
pub(crate) mod draw;
#[path = "../../examples/train_demo/genres.rs"]
pub(crate) mod genres;
#[path = "../../examples/train_demo/model.rs"]
pub(crate) mod model;
#[path = "../../examples/train_demo/ngram.rs"]
pub(crate) mod ngram;
#[path = "../../examples/train_demo/template.rs"]
pub(crate) mod template;
#[path = "../../examples/train_demo/texts.rs"]
pub(crate) mod texts;
#[path = "../../examples/train_demo/words.rs"]
pub(crate) mod words;
