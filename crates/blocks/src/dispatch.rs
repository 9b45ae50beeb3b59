//! Code that is compiled once per instruction set and chosen when it runs.

use multiversion::multiversion;
use multiversion::target::match_target;

/// Which instructions a kernel may use. Results do not depend on it, to the bit; only speed does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dispatch {
    /// The widest the machine has.
    #[default]
    Best,
    /// At most AVX2 (on other architectures than x86-64: as portable).
    Avx2,
    /// What every machine of the architecture has.
    Portable,
}

impl Dispatch {
    /// Every choice, widest first; for tests and benchmarks.
    pub const ALL: [Self; 3] = [Self::Best, Self::Avx2, Self::Portable];
}

/// Work that is compiled once per instruction set. `run` and everything it calls must be `#[inline(always)]`, or it is
/// compiled without the instructions.
pub trait Kernel {
    /// What it gives back.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Runs a kernel with the instructions allowed.
pub fn run<K: Kernel>(dispatch: Dispatch, kernel: K) -> K::Output {
    match dispatch {
        Dispatch::Best => best(kernel),
        Dispatch::Avx2 => at_most_avx2(kernel),
        Dispatch::Portable => portable(kernel),
    }
}

// Kernels are large, so each function holds one copy only and hands over what its instructions are not there for.

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c"), dispatcher = "direct")]
fn best<K: Kernel>(kernel: K) -> K::Output {
    match_target! {
        "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+fma+f16c" => kernel.run(),
        _ => at_most_avx2(kernel),
    }
}

#[multiversion(targets("x86_64+avx2+fma+f16c"), dispatcher = "direct")]
fn at_most_avx2<K: Kernel>(kernel: K) -> K::Output {
    match_target! {
        "x86_64+avx2+fma+f16c" => kernel.run(),
        _ => portable(kernel),
    }
}

#[inline(never)]
fn portable<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
