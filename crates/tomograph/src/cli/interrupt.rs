use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C asks the running scan to stop and write what it has; a second one ends the process.
/// Safe to call again; where no handler can be set, Ctrl-C keeps its usual meaning.
pub(crate) fn listen() {
    // An error means that a handler is already there: that of an earlier call, or of a program that embeds us.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            #[allow(clippy::exit)] // The user insists; outputs are renamed into place, so none is half-written.
            std::process::exit(i32::from(super::Exit::Interrupted.code()));
        }
    });
}

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}
