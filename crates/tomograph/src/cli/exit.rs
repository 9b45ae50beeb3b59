/// How a run ended; `--help` documents the codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0: done (also when the reader of a pipe went away).
    Success,
    /// 1: the model, the map or the machine stood in the way; stderr says how.
    Failure,
    /// 2: the command line itself is wrong.
    Usage,
    /// 3: a comparison that was made shows no difference.
    NoDifference,
    /// 4: a comparison that was made shows that the plan hurts.
    Hurts,
    /// 130: interrupted by Ctrl-C; what was measured until then is written and marked.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NoDifference => 3,
            Self::Hurts => 4,
            Self::Interrupted => 130,
        }
    }
}
