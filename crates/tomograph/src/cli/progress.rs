use std::cell::RefCell;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tomo_checkpoint::hub::HubProgress;
use tomo_map::CellId;
use tomo_metrics::Progress;
use tomo_model::engine::PassProgress;

use super::interrupt;
use crate::quantize::WriteProgress;

/// Where bars are drawn: on stderr, or nowhere when nobody watches.
fn bar(drawn: bool, template: &str) -> ProgressBar {
    let target = if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A bar on stderr with an ETA from the bytes done, or nothing when nobody watches.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(drawn: bool) -> Self {
        Self(bar(drawn, "scanning {msg:<14} [{bar:28}] {bytes}/{total_bytes}, {eta} left"))
    }

    /// Takes the bar off the screen, before results are printed.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn start(&self, cells: usize, bytes: u64) {
        self.0.set_length(bytes);
        self.0.set_message(format!("{cells} cells"));
        self.0.enable_steady_tick(Duration::from_millis(200));
    }

    fn cell_done(&self, cell: CellId, bytes: u64) {
        self.0.set_message(cell.to_string());
        self.0.inc(bytes);
    }

    fn is_cancelled(&self) -> bool {
        interrupt::requested()
    }
}

impl PassProgress for Bar {
    fn start(&self, steps: usize) {
        self.0.reset();
        if let Ok(style) = ProgressStyle::with_template("running {msg:<14} [{bar:28}] {percent:>3} %, {eta} left") {
            self.0.set_style(style.progress_chars("=> "));
        }
        self.0.set_length(steps as u64);
        self.0.enable_steady_tick(Duration::from_millis(200));
    }

    fn step(&self, layer: u32) {
        self.0.set_message(format!("layer {layer}"));
        self.0.inc(1);
    }

    fn is_cancelled(&self) -> bool {
        interrupt::requested()
    }
}

/// The bar of a file that is written tensor by tensor.
pub(crate) struct Writing(ProgressBar);

impl Writing {
    pub(crate) fn new(drawn: bool) -> Self {
        Self(bar(drawn, "quantizing {msg:<28} [{bar:28}] {bytes}/{total_bytes}, {eta} left"))
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl WriteProgress for Writing {
    fn start(&self, bytes: u64) {
        self.0.set_length(bytes);
        self.0.enable_steady_tick(Duration::from_millis(200));
    }

    fn reached(&self, tensor: &str, bytes: u64) {
        self.0.set_message(tomo_render::escape::plain(tensor, 28));
        self.0.inc(bytes);
    }

    fn is_cancelled(&self) -> bool {
        interrupt::requested()
    }
}

/// The bar of a download from the hub.
pub(crate) struct Download {
    bar: ProgressBar,
    /// Said after the bar is gone, so that neither overwrites the other.
    notes: RefCell<Vec<String>>,
}

impl Download {
    pub(crate) fn new(drawn: bool) -> Self {
        let bar = bar(drawn, "fetching {msg} [{bar:28}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left");
        Self { bar, notes: RefCell::default() }
    }

    /// Takes the bar off the screen; what the hub had to say.
    pub(crate) fn finish(self) -> Vec<String> {
        self.bar.finish_and_clear();
        self.notes.into_inner()
    }
}

impl HubProgress for Download {
    fn started(&self, _files: usize, bytes: u64) {
        self.bar.set_length(bytes);
    }

    fn file(&self, name: &str, _bytes: u64, _bytes_done: u64) {
        self.bar.set_message(tomo_render::escape::plain(name, 40));
    }

    fn reached(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    fn note(&self, text: &str) {
        self.notes.borrow_mut().push(text.to_owned());
    }

    fn is_cancelled(&self) -> bool {
        interrupt::requested()
    }
}
