use tomo_map::stats::Evidence;
use tomo_map::{CellId, Component, Raced, RankCorrelation, RankedPlace, SelfAgreement, Status, Tendency};

/// One statement of the report with the numbers it rests on. Sentences are printed from claims and from nothing else.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Claim {
    /// Where the highest and the lowest score of the map are.
    Ends {
        /// The highest and how many places share it.
        highest: (RankedPlace, usize),
        /// The lowest and how many places share it.
        lowest: (RankedPlace, usize),
    },
    /// All scores are equal.
    AllEqual {
        /// The score.
        value: f64,
        /// How many there are.
        places: usize,
    },
    /// Which columns have the highest and the lowest median.
    Medians {
        /// Column with the highest median, and that.
        highest: (Component, f64),
        /// Column with the lowest median, and that.
        lowest: (Component, f64),
    },
    /// One column is above (or below) all others in consecutive layers.
    Leads {
        /// The column.
        component: Component,
        /// Above all others, or below.
        above: bool,
        /// First layer of the run.
        first: u32,
        /// Last layer of the run.
        last: u32,
    },
    /// One column lies above another.
    Contrast(Contrast),
    /// A column has one level up to a layer and another after it.
    Step {
        /// The column.
        component: Component,
        /// First and last layer of the first part.
        before: (u32, u32),
        /// First and last layer of the second part.
        after: (u32, u32),
        /// Mean of either part.
        levels: (f64, f64),
        /// What speaks for it.
        evidence: Evidence,
    },
    /// A column rises or falls steadily.
    Drift {
        /// The column.
        component: Component,
        /// First and last layer.
        layers: (u32, u32),
        /// The fitted line there.
        levels: (f64, f64),
        /// What speaks for it.
        evidence: Evidence,
    },
    /// Columns in which neither a step nor a line passes the test.
    NoChange(Vec<Component>),
    /// Columns with the same score in every layer.
    Flat(Vec<(Component, f64)>),
    /// All columns of a layer tend the same way.
    Layer {
        /// The layer.
        layer: u32,
        /// Median of its cells' robust z-scores.
        z: f64,
        /// Number of its cells.
        columns: usize,
    },
    /// A cell far from its column.
    Outlier {
        /// The layer.
        layer: u32,
        /// The column.
        component: Component,
        /// The score.
        value: f64,
        /// What the column leads one to expect there.
        expected: f64,
        /// What the expectation is.
        baseline: Baseline,
        /// Robust z-score of the difference.
        z: f64,
    },
    /// How many more outliers there are.
    MoreOutliers(usize),
    /// What scores that add up come to.
    Total {
        /// Their sum.
        sum: f64,
        /// Its unit.
        unit: String,
        /// Cells with a score.
        cells: usize,
        /// The cells with the highest scores, the highest first.
        highest: Vec<CellId>,
        /// What they make of the sum, 0 to 1.
        share: f64,
    },
    /// How the two maps of a difference compare.
    Between(Between),
    /// What cannot be said.
    Limit(Limit),
}

/// How one metric compares between the two maps of a difference.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Between {
    /// No cell moved.
    Same {
        /// Cells with a score in both.
        cells: usize,
    },
    /// How many cells moved which way.
    Tendency(Tendency),
    /// Whether both put the cells in one order.
    Order(RankCorrelation),
    /// Whether they do so inside columns.
    OrderInside {
        /// Mean of the columns' rank correlations.
        mean: f64,
        /// Columns that have one.
        columns: usize,
        /// Whether one over all cells was given before.
        also: bool,
    },
    /// Most cells of a column moved the same way.
    Column {
        /// The column.
        component: Component,
        /// How many moved which way.
        tendency: Tendency,
        /// Of the sign test, times the number of columns.
        p_corrected: f64,
    },
    /// The sign test passes in none of these columns.
    NoColumn(Vec<Component>),
    /// How many intervals of differences leave zero out.
    Clear {
        /// Those that do.
        clear: usize,
        /// Cells that have one.
        of: usize,
    },
}

/// One column set against another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Contrast {
    /// The column that tends to be higher.
    pub higher: Component,
    /// The other one.
    pub lower: Component,
    /// Cliff's delta, above 0.
    pub delta: f64,
    /// Layers in which the first is above the second.
    pub above: usize,
    /// Layers in which both have a score.
    pub layers: usize,
    /// Their medians.
    pub medians: (f64, f64),
}

/// What a cell is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Baseline {
    /// The median of its column.
    Median,
    /// The level of the step that was found in its column.
    Step,
    /// The line that was found in its column.
    Line,
}

/// Why something cannot be said, or has to be read with care.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Limit {
    /// Numbers of different columns cannot be compared.
    ColumnScope,
    /// The score stands in for damage that was not measured.
    Proxy,
    /// The family has no such column.
    NoColumn(Component, String),
    /// Cells without a score, in one way for one reason.
    Unscored {
        /// How many.
        cells: usize,
        /// Cells of the table.
        of: usize,
        /// In what way.
        status: Status,
        /// Why.
        reason: String,
    },
    /// Cells with a score that says itself why it is to be read with care.
    Care {
        /// How many.
        cells: usize,
        /// Cells with a score.
        of: usize,
        /// Why, of the commonest kind.
        reason: String,
    },
    /// Cells without a score for further reasons.
    UnscoredOtherwise(usize),
    /// Experts are averaged.
    Experts {
        /// Columns that have experts.
        columns: Vec<Component>,
        /// Most experts averaged at one place.
        most: u32,
        /// Experts without a score, left out where others have one.
        left_out: u64,
    },
    /// No intervals, since the score is a function of the weights alone.
    Exact,
    /// No intervals, though a text was read.
    NoIntervals,
    /// Intervals were measured for some cells and are not used here.
    Intervals {
        /// Cells with an interval.
        cells: usize,
        /// Cells of the table.
        of: usize,
    },
    /// Too few layers for statistics along depth.
    FewLayers(u32),
    /// Columns with a score in too few layers for them, in a map that has enough.
    ShortColumns(Vec<Component>),
    /// Nothing has a score.
    Nothing,
    /// Cells that were measured on a part of the text.
    Raced(Raced),
    /// How far the map agrees with itself.
    SelfAgreement(SelfAgreement),
    /// The metric's own caveat.
    Caveat(String),
}
