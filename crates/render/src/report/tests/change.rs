//! What the report says of the change between two checkpoints, held against the table.

use proptest::collection::vec;
use proptest::prelude::*;
use regex::Captures;
use tomo_map::{Component, Map, MetricInfo, Score, Status};

use super::check::{assert_shows, columns, component, regex};
use super::samples::{dense, info, wobble};
use super::{between, naive};
use crate::report::markdown;

/// What was measured of one cell.
#[derive(Clone, Copy, Debug)]
struct Measured {
    rms: f64,
    relative: f64,
    scale: f64,
    direction: f64,
    density: f64,
    rank: f64,
    effective_rank: f64,
}

fn metric(id: &'static str) -> MetricInfo {
    let mut info = info(id, id);
    (info.family, info.meaning) = ("delta".into(), tomo_map::Meaning::Changed);
    info
}

type Read = fn(&Measured) -> f64;

const METRICS: [(&str, Read); 7] = [
    ("delta-relative", |m| m.relative),
    ("delta-scale", |m| m.scale),
    ("delta-direction", |m| m.direction),
    ("update-density", |m| m.density),
    ("delta-rank", |m| m.rank),
    ("delta-effective-rank", |m| m.effective_rank),
    ("base-rms", |m| m.rms),
];

/// The score of a cell, where it has one.
type Scored<'a> = dyn Fn(u32, Component) -> Option<f64> + 'a;

/// A map of all these metrics in bf16, its shapes those of a small model; what has no rank has no effective rank either.
fn map_of(layers: u32, measured: &dyn Fn(u32, Component) -> Measured) -> Map {
    let read = METRICS.map(|(_, read)| move |l: u32, c: Component| Some(read(&measured(l, c))));
    let metrics: Vec<(MetricInfo, &Scored<'_>)> =
        METRICS.iter().zip(&read).map(|((id, _), read)| (metric(id), read as _)).collect();
    let mut map = dense(layers, &metrics);
    map.provenance.against = Some(tomo_map::Against { model: "base".into(), ..Default::default() });
    for cell in &mut map.grid.cells {
        (cell.out_features, cell.in_features) = match cell.id.component {
            Component::AttnQ | Component::AttnO => (64, 64),
            Component::AttnK | Component::AttnV => (32, 64),
            Component::MlpDown => (64, 128),
            Component::MlpUp | Component::MlpGate => (128, 64),
        };
        cell.dtype = "BF16".into();
    }
    for at in 0..map.grid.cells.len() {
        if map.columns[0].scores[at].value() == Some(0.0) {
            let nothing = Score::missing(Status::Undefined, "nothing changed");
            map.columns[2].scores[at] = nothing.clone();
            map.columns[5].scores[at] = nothing;
        }
    }
    map
}

/// Values of a metric by cell; missing ones are left out.
fn column(map: &Map, id: &str) -> Vec<Option<f64>> {
    map.column(id).unwrap().scores.iter().map(Score::value).collect()
}

struct Checker<'a> {
    map: &'a Map,
    told: Vec<&'static str>,
}

type Check<'a> = fn(&mut Checker<'a>, &Captures<'_>, &str);

impl Checker<'_> {
    /// (component, ||dW||², ||W||², (c - 1)² ||W||², weights) of each cell.
    fn sizes(&self) -> Vec<(Component, f64, f64, f64, f64)> {
        let of = |id| column(self.map, id);
        let (relative, scale, rms) = (of("delta-relative"), of("delta-scale"), of("base-rms"));
        let cells = self.map.grid.cells.iter().enumerate();
        cells
            .map(|(at, cell)| {
                let weights = (cell.out_features * cell.in_features) as f64;
                let size = rms[at].unwrap().powi(2) * weights;
                let change = relative[at].unwrap().powi(2) * size;
                (cell.id.component, change, size, scale[at].unwrap().powi(2) * size, weights)
            })
            .collect()
    }

    fn bullet(&mut self, line: &str) {
        const N: &str = r"(-?[0-9][-0-9.e]*)";
        const I: &str = r"([0-9]+)";
        let list = r"((?:`[a-z.]+`(?:, | and )?)+)";
        let forms: &[(String, Check<'_>)] = &[
            (format!(r"{I} of {I} cells (is|are) unchanged(?:, among them all of {list})?\."), Self::untouched),
            (format!(r"The change (is uniform|is concentrated|is neither uniform nor concentrated): a change of {N} % of the weights, even over them, would be as uneven \({I} cells?\)\."), Self::spread),
            (format!(r"The {I} cells? with most change per weight holds? {N} % of the change and {N} % of the weights\."), Self::most),
            (format!(r"Rescaling makes {N} % of the change; the rest turns the matrices\.(?: It makes half or more in (.+)\.)?"), Self::scaled),
            (r"By `delta-relative` (`[a-z.]+`) changed most, by `delta-direction` (`[a-z.]+`): the first counts rescaling as change\.".to_owned(), |s, c, l| {
                assert_eq!(s.highest("delta-relative"), component(&c[1]), "{l}");
                assert_eq!(s.highest("delta-direction"), component(&c[2]), "{l}");
                assert_ne!(&c[1], &c[2], "{l}");
                s.told.push("misleads");
            }),
            (format!(r"The change has full numerical rank in {I} of {I} changed cells?, and at most a quarter of it in {I}\."), Self::rank),
            (format!(r"It is (not low-rank|low-rank|of somewhat low rank): its effective rank is {N} of a random matrix's of the same shape in the median of {I} cells? \({N} to {N}\)\."), Self::effective_rank),
            (format!(r"`update-density` (follows|runs against|does not surely follow) 1 / `base-rms`: rank correlation {N} over {I} cells?(?:, 95 % interval {N} to {N})?(?:; that alone explains {N} % of its ranks)?\."), Self::size),
            (r"The checkpoints store bf16, which keeps .+".to_owned(), |s, _, l| {
                assert!(s.map.grid.cells.iter().all(|c| c.dtype == "BF16"), "{l}");
                s.told.push("absorbs");
            }),
            (r"By `(delta-direction|update-density)`: (.+)".to_owned(), Self::by),
            (r"Along depth, by `(delta-direction|update-density)`: (.+)\.".to_owned(), Self::by),
        ];
        let found: Vec<_> = forms
            .iter()
            .filter_map(|(form, check)| Some((regex(&format!("^{form}$")).captures(line)?, check)))
            .collect();
        assert_eq!(found.len(), 1, "readings of {line}");
        let (captures, check) = &found[0];
        check(self, captures, line);
    }

    fn untouched(&mut self, c: &Captures<'_>, line: &str) {
        let still: Vec<bool> = column(self.map, "delta-relative").iter().map(|v| *v == Some(0.0)).collect();
        assert_eq!(c[1].parse(), Ok(still.iter().filter(|s| **s).count()), "{line}");
        let whole = |who: &Component| {
            self.map.grid.cells.iter().zip(&still).filter(|(cell, _)| cell.id.component == *who).all(|(_, s)| *s)
        };
        let whole: Vec<_> = Component::ALL.into_iter().filter(whole).collect();
        assert_eq!(c.get(4).map(|m| columns(m.as_str())).unwrap_or_default(), whole, "{line}");
        self.told.push("untouched");
    }

    fn spread(&mut self, c: &Captures<'_>, line: &str) {
        let sizes = self.sizes();
        let (change, weights): (f64, f64) = (sizes.iter().map(|s| s.1).sum(), sizes.iter().map(|s| s.4).sum());
        let unevenness: f64 = sizes.iter().map(|s| (s.1 / change).powi(2) / (s.4 / weights)).sum();
        assert_shows(&c[2], 100.0 / unevenness, line);
        let word = match 1.0 / unevenness {
            x if x >= 0.8 => "is uniform",
            x if x <= 0.5 => "is concentrated",
            _ => "is neither uniform nor concentrated",
        };
        assert_eq!((&c[1], c[3].parse()), (word, Ok(sizes.len())), "{line}");
        self.told.push("spread");
    }

    fn most(&mut self, c: &Captures<'_>, line: &str) {
        let mut sizes = self.sizes();
        sizes.sort_by(|a, b| (b.1 / b.4).total_cmp(&(a.1 / a.4)));
        let tenth = sizes.len().div_ceil(10);
        let share = |of: fn(&(Component, f64, f64, f64, f64)) -> f64| {
            sizes[..tenth].iter().map(of).sum::<f64>() / sizes.iter().map(of).sum::<f64>()
        };
        assert_eq!(c[1].parse(), Ok(tenth), "{line}");
        assert_shows(&c[2], 100.0 * share(|s| s.1), line);
        assert_shows(&c[3], 100.0 * share(|s| s.4), line);
    }

    fn scaled(&mut self, c: &Captures<'_>, line: &str) {
        let sizes = self.sizes();
        let share = |who: Option<Component>| {
            let here = || sizes.iter().filter(move |s| who.is_none_or(|c| s.0 == c));
            here().map(|s| s.3).sum::<f64>() / here().map(|s| s.1).sum::<f64>()
        };
        assert_shows(&c[1], 100.0 * share(None), line);
        let named = c.get(2).map_or("", |m| m.as_str()).replace(" and ", ", ");
        let named: Vec<(Component, &str)> = named
            .split(", ")
            .filter_map(|item| item.split_once(" ("))
            .map(|(who, share)| (component(who), share.trim_end_matches(" %)")))
            .collect();
        let due: Vec<_> = Component::ALL.into_iter().filter(|c| share(Some(*c)) >= 0.5).collect();
        assert_eq!(named.iter().map(|n| n.0).collect::<Vec<_>>(), due, "{line}");
        named.iter().for_each(|(who, text)| assert_shows(text, 100.0 * share(Some(*who)), line));
        self.told.push("scaled");
    }

    fn highest(&self, id: &str) -> Component {
        let values = column(self.map, id);
        let cells = || self.map.grid.cells.iter().zip(&values);
        let median = |c: &Component| {
            let here: Vec<f64> = cells().filter(|(cell, _)| cell.id.component == *c).filter_map(|(_, v)| *v).collect();
            naive::median(&here)
        };
        let known = |c: &Component| cells().any(|(cell, v)| cell.id.component == *c && v.is_some());
        Component::ALL.into_iter().filter(known).max_by(|a, b| median(a).total_cmp(&median(b))).unwrap()
    }

    fn rank(&mut self, c: &Captures<'_>, line: &str) {
        let ranks: Vec<f64> = column(self.map, "delta-rank").into_iter().flatten().filter(|r| *r > 0.0).collect();
        let count = |test: fn(&&f64) -> bool| ranks.iter().filter(test).count();
        assert_eq!(
            (c[1].parse(), c[2].parse(), c[3].parse()),
            (Ok(count(|r| **r >= 1.0)), Ok(ranks.len()), Ok(count(|r| **r <= 0.25))),
            "{line}"
        );
        self.told.push("rank");
    }

    /// Shares of random matrices of these aspects, by numpy (50 draws each of 1536 x 1536 and 1024 x 2048).
    fn effective_rank(&mut self, c: &Captures<'_>, line: &str) {
        const SQUARE: f64 = 0.8047;
        const HALF: f64 = 0.9260;
        let ranks = column(self.map, "delta-effective-rank");
        let share = |(cell, rank): (&tomo_map::Cell, &Option<f64>)| {
            let random = if cell.out_features == cell.in_features { SQUARE } else { HALF };
            Some((*rank)? / cell.out_features.min(cell.in_features) as f64 / random)
        };
        let shares: Vec<f64> = self.map.grid.cells.iter().zip(&ranks).filter_map(share).collect();
        let near = |text: &str, want: f64| {
            let got: f64 = text.parse().unwrap();
            assert!((got - want).abs() <= 0.008 * want.abs(), "{got}, want {want}: {line}");
        };
        let (low, high) = shares.iter().fold((f64::INFINITY, 0.0f64), |(a, b), s| (a.min(*s), b.max(*s)));
        near(&c[2], naive::median(&shares));
        near(&c[4], low);
        near(&c[5], high);
        assert_eq!(c[3].parse(), Ok(shares.len()), "{line}");
        let median: f64 = c[2].parse().unwrap();
        assert!(
            match &c[1] {
                "not low-rank" => median >= 0.8995,
                "low-rank" => median <= 0.5005,
                _ => (0.4995..=0.9005).contains(&median),
            },
            "{line}"
        );
        self.told.push("effective rank");
    }

    fn size(&mut self, c: &Captures<'_>, line: &str) {
        let (density, rms) = (column(self.map, "update-density"), column(self.map, "base-rms"));
        let pairs: Vec<(f64, f64)> = density.iter().zip(&rms).map(|(d, r)| (d.unwrap(), 1.0 / r.unwrap())).collect();
        let rho = between::spearman(&pairs).unwrap();
        assert_shows(&c[2], rho, line);
        assert_eq!(c[3].parse(), Ok(pairs.len()), "{line}");
        let bounds = c.get(4).zip(c.get(5)).map(|(a, b)| [a, b].map(|m| m.as_str().parse::<f64>().unwrap()));
        let sure = bounds.is_some_and(|[low, high]| low > 0.0 || high < 0.0);
        assert_eq!(
            &c[1],
            if !sure {
                "does not surely follow"
            } else if rho > 0.0 {
                "follows"
            } else {
                "runs against"
            },
            "{line}"
        );
        assert_eq!(c.get(6).is_some(), &c[1] == "follows", "{line}");
        if let Some(explained) = c.get(6) {
            assert_shows(explained.as_str(), 100.0 * rho * rho, line);
        }
        self.told.push("size");
    }

    /// The same words stand in the metric's own section, where they are held against the table.
    fn by(&mut self, c: &Captures<'_>, line: &str) {
        let text = markdown(self.map);
        let section = text.split(&format!("\n## {} (`{}`)", &c[1], &c[1])).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        if line.starts_with("By") {
            assert!(section.contains(&format!("- {}\n", &c[2])), "{line}");
            return;
        }
        for change in c[2].split("; ") {
            let (who, rest) = change.split_once(' ').unwrap();
            let said = match rest.split_once(" after ") {
                Some((verb, layer)) => format!("- {who} {verb} after layer {layer}: "),
                None => format!("- {who} {rest} with depth: "),
            };
            assert!(section.contains(&said), "{said}: {line}");
        }
    }
}

/// Reads the section on the change back; returns the report.
#[track_caller]
fn check(map: &Map) -> String {
    let text = markdown(map);
    let still = column(map, "delta-relative").iter().all(|v| *v == Some(0.0));
    assert_eq!(still, text.contains("**The two are identical**"), "{text}");
    assert_eq!(still, !text.contains("## What training changed"), "{text}");
    if still {
        return text;
    }
    let section = text.split("## What training changed").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut checker = Checker { map, told: Vec::new() };
    section.lines().filter_map(|l| l.strip_prefix("- ")).for_each(|sentence| checker.bullet(sentence));
    let due = ["spread", "scaled", "rank", "effective rank"];
    due.iter().for_each(|d| assert!(checker.told.contains(d), "{d} is not told: {section}"));
    text
}

/// One size of change everywhere: rms .02, one part in a hundred, across the matrix, as full as noise.
fn even(layer: u32, component: Component) -> Measured {
    let effective_rank = match component {
        Component::AttnQ | Component::AttnO | Component::MlpUp | Component::MlpDown | Component::MlpGate => 55.0,
        Component::AttnK | Component::AttnV => 28.0,
    };
    let noise = 1.0 + 0.01 * wobble(layer, component);
    Measured {
        rms: 0.02 * noise,
        relative: 0.01,
        scale: 0.0001,
        direction: 0.01 * noise,
        density: 0.14 / noise,
        rank: 1.0,
        effective_rank,
    }
}

#[track_caller]
fn says(text: &str, sentence: &str) {
    assert!(text.contains(sentence), "does not say {sentence:?}:\n{text}");
}

#[test]
fn an_even_change_is_told_as_one() {
    let text = check(&map_of(28, &even));
    says(
        &text,
        "The change is uniform: a change of 100 % of the weights, even over them, would be as uneven (196 cells).",
    );
    // (.0001 / .01)² is a ten-thousandth.
    says(&text, "Rescaling makes 0.0100 % of the change; the rest turns the matrices.");
    says(&text, "The change has full numerical rank in 196 of 196 changed cells, and at most a quarter of it in 0.");
    says(&text, "It is not low-rank:");
    says(&text, "`update-density` follows 1 / `base-rms`: rank correlation 1.00 over 196 cells");
    says(&text, "that alone explains 100 % of its ranks.");
    says(&text, "| column | `base-rms` | `update-density` |");
    insta::assert_snapshot!(text);
}

/// Seven cells of the last layer changed a hundred times as much: (1/28 · 10⁴) / (27/28 + 10⁴/28) of it is theirs.
#[test]
fn a_change_in_one_layer_is_concentrated() {
    let text =
        check(&map_of(28, &|l, c| Measured { relative: if l == 27 { 1.0 } else { 0.01 }, rms: 0.02, ..even(l, c) }));
    says(
        &text,
        "The change is concentrated: a change of 3.59 % of the weights, even over them, would be as uneven (196 cells).",
    );
}

/// `attn.o` times 1.38, and a little turned: .38² of .39² is scale. Its direction changed least.
#[test]
fn a_column_that_was_rescaled_is_not_said_to_have_changed_most() {
    let text = check(&map_of(28, &|l, c| match c {
        Component::AttnO => {
            Measured { relative: 0.39, scale: 0.38, direction: 0.0635 + 0.0001 * wobble(l, c), ..even(l, c) }
        }
        Component::AttnQ => Measured { relative: 0.15, direction: 0.149 + 0.0001 * wobble(l, c), ..even(l, c) },
        _ => Measured { relative: 0.12, direction: 0.12 + 0.0001 * wobble(l, c), ..even(l, c) },
    }));
    says(&text, "It makes half or more in `attn.o` (94.9 %).");
    says(
        &text,
        "By `delta-relative` `attn.o` changed most, by `delta-direction` `attn.q`: the first counts rescaling as change.",
    );
}

#[test]
fn what_was_frozen_is_named_and_low_rank_is_seen() {
    let text = check(&map_of(12, &|l, c| match c {
        Component::AttnQ | Component::AttnV => Measured { rank: 0.125, effective_rank: 5.0, ..even(l, c) },
        _ => Measured { relative: 0.0, scale: 0.0, density: 0.0, rank: 0.0, ..even(l, c) },
    }));
    says(
        &text,
        "60 of 84 cells are unchanged, among them all of `attn.k`, `attn.o`, `mlp.up`, `mlp.down` and `mlp.gate`.",
    );
    says(&text, "The change has full numerical rank in 0 of 24 changed cells, and at most a quarter of it in 24.");
    says(&text, "It is low-rank:");
}

#[test]
fn identical_checkpoints_are_said_to_be_identical_and_nothing_else() {
    let still = |l, c| Measured { relative: 0.0, scale: 0.0, density: 0.0, rank: 0.0, ..even(l, c) };
    let text = check(&map_of(28, &still));
    says(&text, "All 196 scores are 0.");
    assert!(!text.contains("follows 1 /") && !text.contains("stands out "), "{text}");
}

#[test]
fn a_map_without_changes_says_nothing_of_training() {
    let map = dense(9, &[(info("base-rms", "A score"), &|l, c| Some(wobble(l, c)))]);
    assert!(!markdown(&map).contains("What training changed"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_sentence_on_a_change_contradicts_the_table(
        layers in 1..12u32,
        numbers in vec((0.001..0.1f64, 0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64, 0..4u8), 84),
        frozen in any::<[bool; 7]>(),
    ) {
        let map = map_of(layers, &|l, c| {
            let (rms, relative, part, density, rank) = numbers[l as usize * 7 + c.index()];
            let relative = if frozen[c.index()] && rank > 0 { 0.0 } else { relative };
            Measured {
                rms,
                relative,
                scale: relative * part,
                direction: relative * (1.0 - part * part).sqrt() / (1.0 + relative * part),
                density: if relative == 0.0 { 0.0 } else { density },
                rank: if relative == 0.0 { 0.0 } else { f64::from(rank + 1) / 4.0 },
                effective_rank: 1.0 + density * 31.0,
            }
        });
        check(&map);
    }
}
