//! The phantom: a small generated checkpoint with planted, known structure, as scanners are calibrated with phantoms.
