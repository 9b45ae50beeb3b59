use crate::stats::{CellSamples, mean, median, pearson, sign_test, spearman};
use crate::{Cell, CellId, Column, Component, Direction, Map, Score};

/// How one metric compares between the two maps of a difference.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison {
    /// Id of the metric, as both maps have it.
    pub metric: String,
    /// Cells that moved up, down, or not at all.
    pub all: Tendency,
    /// Rank correlation over all cells, where numbers of different columns may be compared.
    pub over_cells: Option<RankCorrelation>,
    /// Mean of the rank correlations inside each column, and the number of columns that have one.
    pub inside_columns: Option<(f64, usize)>,
    /// Each column that has scores.
    pub columns: Vec<(Component, Tendency)>,
    /// Cells whose difference has an interval, and those of them in which it leaves zero out.
    pub with_interval: (usize, usize),
    /// Cells by how far they moved.
    pub movers: Movers,
}

/// Spearman's rank correlation with its 95 % interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RankCorrelation {
    /// From -1 to 1.
    pub rho: f64,
    /// From a bootstrap over cells.
    pub interval: Option<(f64, f64)>,
    /// Number of cells.
    pub cells: usize,
}

/// Which way cells moved from the first map to the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tendency {
    /// Higher in the second.
    pub higher: usize,
    /// Lower in the second.
    pub lower: usize,
    /// Equal, to the last bit.
    pub equal: usize,
}

impl Tendency {
    /// Cells with a score in both.
    pub fn cells(&self) -> usize {
        self.higher + self.lower + self.equal
    }

    /// Two-sided p-value of the sign test: 1 where cells moved either way alike.
    pub fn p(&self) -> f64 {
        sign_test(self.higher, self.lower)
    }

    fn of(differences: impl Iterator<Item = f64>) -> Self {
        differences.fold(Self::default(), |all, d| Self {
            higher: all.higher + usize::from(d > 0.0),
            lower: all.lower + usize::from(d < 0.0),
            equal: all.equal + usize::from(d == 0.0),
        })
    }
}

/// Cells by how far they moved, the farthest first.
#[derive(Clone, PartialEq, Debug)]
pub struct Movers {
    /// The cells; those that did not move are left out.
    pub cells: Vec<Mover>,
    /// Distances are differences over the median size of the column's scores, since its columns cannot be compared; ranks are
    /// within the column.
    pub by_column: bool,
}

/// A cell that moved.
#[derive(Clone, PartialEq, Debug)]
pub struct Mover {
    /// Which.
    pub id: CellId,
    /// Its score in the first map.
    pub first: RankedScore,
    /// And in the second.
    pub second: RankedScore,
    /// Second minus first.
    pub difference: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// Cells that are ranked.
    pub of: usize,
}

/// What one map says of a cell.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RankedScore {
    /// Its score.
    pub value: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// 1 for the most important by the metric's direction (the highest, if it takes no side); equal ones share the better
    /// rank.
    pub rank: usize,
}

/// A cell with a score on either side.
struct Pair<'a> {
    id: CellId,
    first: &'a Score,
    second: &'a Score,
    difference: &'a Score,
    /// Their values.
    a: f64,
    b: f64,
    d: f64,
}

impl Map {
    /// How the metric of column `id` compares between the two maps; `None` if this is no difference or has no such column.
    pub fn comparison(&self, id: &str) -> Option<Comparison> {
        let sides = self.sides.as_deref()?;
        let at = self.columns.iter().position(|c| c.info.id == id)?;
        let (column, first, second) =
            (self.columns.get(at)?, sides.first.columns.get(at)?, sides.second.columns.get(at)?);
        let pairs = pairs(self, column, first, second);
        let by_column = column.info.scope.is_by_column();
        let here = |c: Component| pairs.iter().filter(move |p| p.id.component == c);
        let tendencies = Component::ALL.into_iter().map(|c| (c, Tendency::of(here(c).map(|p| p.d))));
        let inside: Vec<f64> = Component::ALL.into_iter().filter_map(|c| rho(here(c))).collect();
        let intervals = || pairs.iter().filter_map(|p| p.difference.interval());
        Some(Comparison {
            metric: second.info.id.clone().into_owned(),
            all: Tendency::of(pairs.iter().map(|p| p.d)),
            over_cells: if by_column { None } else { over_cells(&pairs, self.provenance.seed) },
            inside_columns: (!inside.is_empty()).then(|| (mean(&inside), inside.len())),
            columns: tendencies.filter(|(_, t)| t.cells() > 0).collect(),
            with_interval: (intervals().count(), intervals().filter(|(low, high)| *low > 0.0 || *high < 0.0).count()),
            movers: movers(&pairs, by_column, second.info.direction == Direction::Low),
        })
    }
}

fn pairs<'a>(map: &'a Map, column: &'a Column, first: &'a Column, second: &'a Column) -> Vec<Pair<'a>> {
    let scores = column.scores.iter().zip(first.scores.iter().zip(&second.scores));
    let known = |(cell, (difference, (first, second))): (&Cell, (&'a Score, (&'a Score, &'a Score)))| {
        let (a, b, d) = (first.value()?, second.value()?, difference.value()?);
        Some(Pair { id: cell.id, first, second, difference, a, b, d })
    };
    map.grid.cells.iter().zip(scores).filter_map(known).collect()
}

fn movers(pairs: &[Pair<'_>], by_column: bool, low_first: bool) -> Movers {
    let groups: Vec<Vec<&Pair<'_>>> = if by_column {
        Component::ALL.into_iter().map(|c| pairs.iter().filter(|p| p.id.component == c).collect()).collect()
    } else {
        vec![pairs.iter().collect()]
    };
    let mut found: Vec<(f64, Mover)> = Vec::new();
    for group in groups {
        let scale = if by_column { size(&group) } else { 1.0 };
        let first = places(group.iter().map(|p| p.a), low_first);
        let second = places(group.iter().map(|p| p.b), low_first);
        for (pair, (before, after)) in group.iter().zip(first.into_iter().zip(second)).filter(|(p, _)| p.d != 0.0) {
            let side = |score: &Score, value, rank| RankedScore { value, interval: score.interval(), rank };
            let mover = Mover {
                id: pair.id,
                first: side(pair.first, pair.a, before),
                second: side(pair.second, pair.b, after),
                difference: pair.d,
                interval: pair.difference.interval(),
                of: group.len(),
            };
            found.push((pair.d.abs() / scale, mover));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id)));
    Movers { cells: found.into_iter().map(|(_, mover)| mover).collect(), by_column }
}

/// The median size of the scores on either side; 1 if that is zero.
fn size(group: &[&Pair<'_>]) -> f64 {
    let sizes: Vec<f64> = group.iter().flat_map(|p| [p.a.abs(), p.b.abs()]).collect();
    median(&sizes).filter(|size| *size > 0.0).unwrap_or(1.0)
}

/// Rank of each value from 1, the highest (or the lowest) first; equal ones share the better rank.
fn places(values: impl Iterator<Item = f64>, low_first: bool) -> Vec<usize> {
    let values: Vec<f64> = values.map(|v| if low_first { v } else { -v }).collect();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    values.iter().map(|v| 1 + sorted.partition_point(|s| s < v)).collect()
}

fn rho<'a>(pairs: impl Iterator<Item = &'a Pair<'a>>) -> Option<f64> {
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.map(|p| (p.a, p.b)).unzip();
    spearman(&a, &b)
}

fn over_cells(pairs: &[Pair<'_>], seed: u64) -> Option<RankCorrelation> {
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|p| (p.a, p.b)).unzip();
    RankCorrelation::of(&a, &b, seed)
}

impl RankCorrelation {
    /// Of two lists of scores, cell by cell; `None` for fewer than two cells, or where either is constant. The interval comes
    /// from 2,000 resamples of the cells, from fewer of very many, and there is none beyond 80,000.
    pub fn of(a: &[f64], b: &[f64], seed: u64) -> Option<Self> {
        /// Cells drawn in all resamples together.
        const DRAWN: usize = 8_000_000;
        /// Fewest resamples that make an interval.
        const FEWEST: usize = 100;
        let (rho, cells) = (spearman(a, b)?, a.len());
        let resamples = (DRAWN / cells).min(2000);
        if resamples < FEWEST {
            return Some(Self { rho, interval: None, cells });
        }
        let samples = CellSamples::new(cells, resamples, seed);
        let (x, y) = (samples.of_values(a).ranked(), samples.of_values(b).ranked());
        let interval = samples.correlation_interval(rho, |at| pearson(x.at(at), y.at(at)));
        // An interval that leaves the point out comes of a handful of cells, and says nothing.
        let interval = interval.filter(|(low, high)| (*low..=*high).contains(&rho));
        Some(Self { rho, interval, cells })
    }
}
