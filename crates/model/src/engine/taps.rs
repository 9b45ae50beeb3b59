//! Handing out taps: rows of a group, sequence by sequence, to the observers that want them.

use rayon::prelude::*;

use super::gradient::Span;
use super::tap::{Observer, Port, Rows, Seen, Tap};
use tomo_map::Component;

/// Sequences that run through a block together, row after row.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Group {
    spans: Vec<Span>,
}

impl Group {
    /// A group of sequences of these numbers of rows.
    pub(crate) fn new(lengths: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut next = 0;
        let spans = lengths.map(|(sequence, length)| {
            let rows = next..next + length;
            next = rows.end;
            Span { sequence, rows }
        });
        Self { spans: spans.collect() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.spans.last().map_or(0, |s| s.rows.end)
    }

    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }
}

/// Where a tap is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) tap: Tap,
    pub(crate) layer: u32,
    pub(crate) expert: Option<u32>,
    pub(crate) bias: Option<&'a [f32]>,
}

/// The observers of a pass and what they want.
pub(crate) struct Taps<'a> {
    observers: &'a [&'a dyn Observer],
    wanted: Vec<Tap>,
}

impl<'a> Taps<'a> {
    pub(crate) fn new(observers: &'a [&'a dyn Observer]) -> Self {
        let inputs = Port::ALL.map(Tap::Input);
        let outputs = Component::ALL.map(Tap::Output);
        let others =
            [Tap::ResidualIn, Tap::AttentionAdd, Tap::MlpAdd, Tap::ResidualOut, Tap::Routing, Tap::FinalHidden];
        let all = inputs.into_iter().chain(outputs).chain(others);
        Self { observers, wanted: all.filter(|tap| observers.iter().any(|o| o.wants(*tap))).collect() }
    }

    /// Whether anybody wants `tap`.
    pub(crate) fn wants(&self, tap: Tap) -> bool {
        self.wanted.contains(&tap)
    }

    pub(crate) fn observers(&self) -> &'a [&'a dyn Observer] {
        self.observers
    }

    /// Hands the rows of `group` to who wants them, sequences side by side.
    pub(crate) fn hand_out(&self, site: Site<'_>, group: &Group, rows: Rows<'_>, against: Option<Rows<'_>>) {
        if !self.wants(site.tap) {
            return;
        }
        group.spans().par_iter().filter(|span| !span.rows.is_empty()).for_each(|span| {
            let seen = Seen {
                tap: site.tap,
                layer: site.layer,
                expert: site.expert,
                sequence: span.sequence,
                rows: rows.slice(span.rows.start, span.rows.len()),
                against: against.map(|rows| rows.slice(span.rows.start, span.rows.len())),
                bias: site.bias,
            };
            self.observers.iter().filter(|o| o.wants(site.tap)).for_each(|o| o.see(&seen));
        });
    }
}
