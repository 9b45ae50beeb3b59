use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tomo_checkpoint::hub::HubProgress;
use tomo_map::CellId;
use tomo_metrics::Progress;
use tomo_model::engine::PassProgress;

use super::{Streams, Watch, interrupt};
use crate::quantize::WriteProgress;

/// How far a run is: drawn on stderr where somebody looks there, told to who watches, asked whether to stop.
struct Meter {
    bar: ProgressBar,
    watch: Option<Arc<dyn Watch>>,
}

impl Meter {
    fn new(streams: &Streams, template: &str) -> Self {
        let target = if streams.draw_progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let meter = Self { bar: ProgressBar::with_draw_target(None, target), watch: streams.watch.clone() };
        meter.drawn_as(template);
        meter
    }

    fn drawn_as(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
    }

    /// From the beginning, with so much to do.
    fn start(&self, total: u64) {
        self.bar.reset();
        self.bar.set_length(total);
        self.bar.enable_steady_tick(Duration::from_millis(200));
        self.tell();
    }

    fn name(&self, what: String) {
        self.bar.set_message(what);
    }

    fn advance(&self, by: u64) {
        self.bar.inc(by);
        self.tell();
    }

    fn reach(&self, done: u64) {
        self.bar.set_position(done);
        self.tell();
    }

    fn tell(&self) {
        if let Some(watch) = &self.watch {
            watch.reached(self.bar.position(), self.bar.length().unwrap_or(0), &self.bar.message());
        }
    }

    fn is_cancelled(&self) -> bool {
        self.watch.as_ref().map_or_else(interrupt::requested, |watch| watch.is_cancelled())
    }

    /// Takes the bar off the screen.
    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// The bar of a scan, with an ETA from the bytes done, or from the layers run.
pub(crate) struct Bar(Meter);

impl Bar {
    pub(crate) fn new(streams: &Streams) -> Self {
        Self(Meter::new(streams, "scanning {msg:<14} [{bar:28}] {bytes}/{total_bytes}, {eta} left"))
    }

    /// Takes the bar off the screen, before results are printed.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

impl Progress for Bar {
    fn start(&self, cells: usize, bytes: u64) {
        self.0.name(format!("{cells} cells"));
        self.0.start(bytes);
    }

    fn cell_done(&self, cell: CellId, bytes: u64) {
        self.0.name(cell.to_string());
        self.0.advance(bytes);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl PassProgress for Bar {
    fn start(&self, steps: usize) {
        self.0.drawn_as("running {msg:<14} [{bar:28}] {percent:>3} %, {eta} left");
        self.0.name(format!("{steps} steps"));
        self.0.start(steps as u64);
    }

    fn step(&self, layer: u32) {
        self.0.name(format!("layer {layer}"));
        self.0.advance(1);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// The bar of a file that is written tensor by tensor.
pub(crate) struct Writing(Meter);

impl Writing {
    pub(crate) fn new(streams: &Streams) -> Self {
        Self(Meter::new(streams, "quantizing {msg:<28} [{bar:28}] {bytes}/{total_bytes}, {eta} left"))
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

impl WriteProgress for Writing {
    fn start(&self, bytes: u64) {
        self.0.start(bytes);
    }

    fn reached(&self, tensor: &str, bytes: u64) {
        self.0.name(tomo_render::escape::plain(tensor, 28));
        self.0.advance(bytes);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// The bar of a download from the hub.
pub(crate) struct Download {
    meter: Meter,
    /// Said after the bar is gone, so that neither overwrites the other.
    notes: RefCell<Vec<String>>,
}

impl Download {
    pub(crate) fn new(streams: &Streams) -> Self {
        let template = "fetching {msg} [{bar:28}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
        Self { meter: Meter::new(streams, template), notes: RefCell::default() }
    }

    /// Takes the bar off the screen; what the hub had to say.
    pub(crate) fn finish(self) -> Vec<String> {
        self.meter.clear();
        self.notes.into_inner()
    }
}

impl HubProgress for Download {
    fn started(&self, _files: usize, bytes: u64) {
        self.meter.start(bytes);
    }

    fn file(&self, name: &str, _bytes: u64, _bytes_done: u64) {
        self.meter.name(tomo_render::escape::plain(name, 40));
    }

    fn reached(&self, bytes: u64) {
        self.meter.reach(bytes);
    }

    fn note(&self, text: &str) {
        self.notes.borrow_mut().push(text.to_owned());
    }

    fn is_cancelled(&self) -> bool {
        self.meter.is_cancelled()
    }
}
