use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tomo_map::CellId;
use tomo_metrics::Progress;

use super::interrupt;

/// A bar on stderr with an ETA from the bytes done, or nothing when nobody watches.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(drawn: bool) -> Self {
        let target = if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(ProgressBar::with_draw_target(None, target))
    }

    /// Takes the bar off the screen, before results are printed.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn start(&self, cells: usize, bytes: u64) {
        self.0.set_length(bytes);
        if let Ok(style) =
            ProgressStyle::with_template("scanning {msg:<14} [{bar:28}] {bytes}/{total_bytes}, {eta} left")
        {
            self.0.set_style(style.progress_chars("=> "));
        }
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
