//! Which columns the cost of a format is made of.

use tomo_map::{Column, Direction, Map};

use super::CostModel;
use super::columns::{command, unusable, value};
use crate::PlanError;

/// Prefixes of metrics of a format that are in nats per token.
const MEASURED: &str = "quant-kl-";
const PREDICTED: &str = "predicted-kl-";
const ERROR: &str = "err-";
const ALPHA: &str = "noise-alpha";
/// Prefixes of metrics that are of one format each.
const OF_A_FORMAT: [&str; 3] = [MEASURED, PREDICTED, "quant-taylor-"];

/// The way to a format's costs.
pub(super) struct Chosen<'a> {
    pub(super) format: String,
    way: Way<'a>,
}

enum Way<'a> {
    /// What storing as it is costs.
    Nothing,
    /// The score itself.
    Direct(&'a Column),
    /// The score of another format, times the ratio of what is said of this one to what is said of that.
    Scaled { column: &'a Column, ratio: Ratio<'a> },
    /// An importance times the squared error.
    Weighed { column: &'a Column, error: &'a Column },
    /// The squared error.
    Error(&'a Column),
}

/// How a cost is carried from one format to another.
#[derive(Clone, Copy)]
struct Ratio<'a> {
    from: &'a Column,
    to: &'a Column,
    by: By,
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Squared errors of the weights.
    Errors,
    /// Predicted divergences.
    Predictions,
}

/// What costs are in.
pub(super) fn unit(chosen: &[Chosen<'_>]) -> String {
    let nats = |id: &str| id.starts_with(MEASURED) || id.starts_with(PREDICTED) || id == ALPHA;
    let way = chosen.iter().map(|one| &one.way).find(|way| way.column().is_some());
    match way {
        None | Some(Way::Nothing) => "nats per token".to_owned(),
        Some(Way::Direct(column) | Way::Scaled { column, .. } | Way::Weighed { column, .. })
            if nats(&column.info.id) =>
        {
            "nats per token".to_owned()
        }
        Some(Way::Direct(column) | Way::Scaled { column, .. }) => column.info.unit.to_string(),
        Some(Way::Weighed { column, .. }) => format!("{} times squared relative error", column.info.unit),
        Some(Way::Error(_)) => "squared relative error".to_owned(),
    }
}

/// A way for every format.
pub(super) fn choose<'a>(map: &'a Map, model: &CostModel, formats: &[&str]) -> Result<Vec<Chosen<'a>>, PlanError> {
    let tiers: Vec<Tier<'_>> = match model {
        CostModel::Auto => {
            vec![Tier::Of(MEASURED), Tier::Near(MEASURED), Tier::Of(PREDICTED), Tier::Near(PREDICTED), Tier::Alpha]
        }
        CostModel::Measured => vec![Tier::Of(MEASURED)],
        CostModel::Scaled => vec![Tier::Of(MEASURED), Tier::Near(MEASURED)],
        CostModel::Predicted => vec![Tier::Of(PREDICTED), Tier::Near(PREDICTED)],
        CostModel::Alpha => vec![Tier::Alpha],
        CostModel::Weights => vec![Tier::Error],
        CostModel::Metric(id) => vec![Tier::Metric(usable(map, id)?)],
    };
    match with(map, &tiers, formats) {
        Err(_) if *model == CostModel::Auto && has_no_nats(map) => with(map, &[Tier::Error], formats),
        other => other,
    }
    .map_err(|missing| missing_columns(map, model, formats, &missing))
}

/// One way to look for costs.
enum Tier<'a> {
    Of(&'static str),
    Near(&'static str),
    Alpha,
    Error,
    Metric(&'a Column),
}

/// For each format the first tier that has it, or the formats that none has.
fn with<'a>(map: &'a Map, tiers: &[Tier<'a>], formats: &[&str]) -> Result<Vec<Chosen<'a>>, Vec<String>> {
    let mut chosen = Vec::new();
    let mut missing = Vec::new();
    // Errors by input are used only where the map has them of all formats: two kinds of errors are not compared.
    let by_input = formats.iter().all(|format| is_whole(format) || error_of(map, format, true).is_some());
    for format in formats {
        let way = tiers.iter().find_map(|tier| tier.way(map, format, by_input));
        match way {
            Some(way) => chosen.push(Chosen { format: (*format).to_owned(), way }),
            None if is_whole(format) => chosen.push(Chosen { format: (*format).to_owned(), way: Way::Nothing }),
            None => missing.push((*format).to_owned()),
        }
    }
    if missing.is_empty() { Ok(chosen) } else { Err(missing) }
}

/// Formats that store weights as they are, nearly.
fn is_whole(format: &str) -> bool {
    matches!(format, "f16" | "bf16")
}

fn has_no_nats(map: &Map) -> bool {
    !map.columns
        .iter()
        .any(|c| c.info.id.starts_with(MEASURED) || c.info.id.starts_with(PREDICTED) || c.info.id == ALPHA)
}

fn error_of<'a>(map: &'a Map, format: &str, by_input: bool) -> Option<&'a Column> {
    map.column(&format!("{ERROR}{format}{}", if by_input { "@x" } else { "" }))
}

/// The format a column is of.
fn format_of(column: &Column) -> Option<&str> {
    OF_A_FORMAT.iter().find_map(|prefix| column.info.id.strip_prefix(prefix))
}

impl<'a> Tier<'a> {
    fn way(&self, map: &'a Map, format: &str, by_input: bool) -> Option<Way<'a>> {
        match self {
            Self::Of(prefix) => map.column(&format!("{prefix}{format}")).map(Way::Direct),
            _ if is_whole(format) => None,
            // Errors of one relative size cost more at few bits than at many, in some columns twice as much: predictions know.
            Self::Near(MEASURED) => {
                nearest(map, MEASURED, format, predictions).or_else(|| nearest(map, MEASURED, format, errors))
            }
            Self::Near(prefix) => nearest(map, prefix, format, errors),
            Self::Alpha => {
                let (column, error) = (map.column(ALPHA)?, error_of(map, format, false)?);
                Some(Way::Weighed { column, error })
            }
            Self::Error => error_of(map, format, by_input).or_else(|| error_of(map, format, false)).map(Way::Error),
            Self::Metric(column) => match format_of(column) {
                Some(own) if own == format => Some(Way::Direct(column)),
                Some(own) => Some(Way::Scaled { column, ratio: errors(map, own, format)? }),
                None => Some(Way::Weighed { column, error: error_of(map, format, false)? }),
            },
        }
    }
}

/// Errors of two formats: by input where the map has both.
fn errors<'a>(map: &'a Map, from: &str, to: &str) -> Option<Ratio<'a>> {
    let both = |by_input| Some((error_of(map, from, by_input)?, error_of(map, to, by_input)?));
    let (from, to) = both(true).or_else(|| both(false))?;
    Some(Ratio { from, to, by: By::Errors })
}

/// What two formats are predicted to cost.
fn predictions<'a>(map: &'a Map, from: &str, to: &str) -> Option<Ratio<'a>> {
    let of = |format: &str| map.column(&format!("{PREDICTED}{format}"));
    Some(Ratio { from: of(from)?, to: of(to)?, by: By::Predictions })
}

/// Scaling from the format of `prefix` that is nearest by what `ratio` compares, on average over the cells.
fn nearest<'a>(
    map: &'a Map,
    prefix: &str,
    format: &str,
    ratio: impl Fn(&'a Map, &str, &str) -> Option<Ratio<'a>>,
) -> Option<Way<'a>> {
    let others = map.columns.iter().filter_map(|column| {
        let ratio = ratio(map, column.info.id.strip_prefix(prefix)?, format)?;
        Some((ratio.distance()?, Way::Scaled { column, ratio }))
    });
    others.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, way)| way)
}

impl Ratio<'_> {
    /// How far apart the formats are, by the mean size of its logarithm.
    fn distance(&self) -> Option<f64> {
        let pairs = self.from.scores.iter().zip(&self.to.scores);
        let pairs = pairs.filter_map(|(from, to)| Some((from.value()?, to.value()?)));
        let logs: Vec<f64> = pairs.map(|(from, to)| (from / to).ln().abs()).filter(|log| log.is_finite()).collect();
        (!logs.is_empty()).then(|| logs.iter().sum::<f64>() / logs.len() as f64)
    }

    /// Of one cell.
    fn of(&self, map: &Map, cell: usize) -> Result<f64, PlanError> {
        let (from, to) = (value(map, self.from, cell)?, value(map, self.to, cell)?);
        if from == 0.0 {
            let is_zero = |at: usize| self.from.scores.get(at).and_then(|s| s.value()) == Some(0.0);
            return Err(unusable(map, self.from, is_zero));
        }
        Ok(match self.by {
            By::Errors => (to / from).powi(2),
            By::Predictions => to / from,
        })
    }
}

/// The column of a metric that says how much cells matter.
pub(crate) fn usable<'a>(map: &'a Map, id: &str) -> Result<&'a Column, PlanError> {
    let Some(column) = map.column(id) else {
        let near = tomo_map::near_names(id, map.columns.iter().map(|c| c.info.id.to_string()));
        let hint = if near.is_empty() { String::new() } else { format!("; the map has {}", near.join(", ")) };
        return Err(PlanError::Columns {
            model: format!("{id:?}"),
            missing: format!("{id}{hint}"),
            command: command(map, &[id]),
        });
    };
    let wrong = match column.info.direction {
        Direction::High => None,
        Direction::Low => Some("its low scores mark the important cells"),
        Direction::Neutral => Some("it does not say which cells are important"),
    };
    let refuse = |reason: &str| Err(PlanError::Metric { metric: id.to_owned(), reason: reason.to_owned() });
    match wrong {
        Some(reason) => refuse(reason),
        None if column.scores.iter().any(|score| score.value().is_some_and(|value| value < 0.0)) => {
            refuse("it has scores below 0, which no error can be multiplied by")
        }
        None => Ok(column),
    }
}

fn missing_columns(map: &Map, model: &CostModel, formats: &[&str], missing: &[String]) -> PlanError {
    let all =
        |prefix: &str| formats.iter().filter(|f| !is_whole(f)).map(|f| format!("{prefix}{f}")).collect::<Vec<_>>();
    let base = |prefix: &str| map.columns.iter().find(|c| c.info.id.starts_with(prefix)).map(|c| c.info.id.to_string());
    // What is there is kept: a measured column of one format needs only cheap errors of weights beside it.
    let scaled = |column: String| {
        let own = OF_A_FORMAT.iter().find_map(|prefix| column.strip_prefix(prefix)).map(|own| format!("{ERROR}{own}"));
        let mut metrics = vec![column];
        metrics.extend(own.into_iter().chain(all(ERROR)));
        metrics.dedup();
        metrics
    };
    let metrics = match model {
        CostModel::Measured => all(MEASURED),
        CostModel::Weights => all(ERROR),
        CostModel::Alpha => std::iter::once(ALPHA.to_owned()).chain(all(ERROR)).collect(),
        CostModel::Metric(id) => scaled(id.clone()),
        CostModel::Predicted => base(PREDICTED).map_or_else(|| all(PREDICTED), scaled),
        CostModel::Auto | CostModel::Scaled => match base(MEASURED).or_else(|| base(PREDICTED)) {
            Some(column) => scaled(column),
            None if *model == CostModel::Scaled => all(MEASURED),
            None => all(PREDICTED),
        },
    };
    let mut metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
    let mut seen = std::collections::BTreeSet::new();
    metrics.retain(|id| seen.insert(*id));
    PlanError::Columns {
        model: model.to_string(),
        missing: format!("what is needed for {}", missing.join(", ")),
        command: command(map, &metrics),
    }
}

impl<'a> Chosen<'a> {
    /// What storing one cell so costs.
    pub(super) fn cost(&self, map: &Map, cell: usize) -> Result<f64, PlanError> {
        let cost = match self.way {
            Way::Nothing => 0.0,
            Way::Direct(column) => value(map, column, cell)?,
            Way::Scaled { column, ratio } => value(map, column, cell)? * ratio.of(map, cell)?,
            Way::Weighed { column, error } => value(map, column, cell)? * value(map, error, cell)?.powi(2),
            Way::Error(error) => value(map, error, cell)?.powi(2),
        };
        match (cost.is_finite(), self.way.column()) {
            (true, _) | (_, None) => Ok(cost),
            (false, Some(column)) => Err(unusable(map, column, |at| at == cell)),
        }
    }

    /// In words.
    pub(super) fn how(&self) -> String {
        match self.way {
            Way::Nothing => "as it is".to_owned(),
            Way::Direct(column) => named(column),
            Way::Scaled { column, ratio } => {
                let format = format_of(column).unwrap_or_default();
                let by = match ratio.by {
                    By::Errors => "the squared error",
                    By::Predictions => "what is predicted",
                };
                format!("{} at {format} and scaled by {by}", named(column))
            }
            Way::Weighed { column, .. } if column.info.id == ALPHA => {
                "noise coefficient times squared error".to_owned()
            }
            Way::Weighed { column, .. } => format!("{} times squared error: a proxy", column.info.id),
            Way::Error(_) => "squared error of the weights, every cell taken for equally sensitive: a proxy".to_owned(),
        }
    }

    /// Ids of the columns it reads.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &'a str> {
        let columns: [Option<&'a Column>; 3] = match self.way {
            Way::Nothing => [None, None, None],
            Way::Direct(column) | Way::Error(column) => [Some(column), None, None],
            Way::Scaled { column, ratio } => [Some(column), Some(ratio.from), Some(ratio.to)],
            Way::Weighed { column, error } => [Some(column), Some(error), None],
        };
        columns.into_iter().flatten().map(|column| column.info.id.as_ref())
    }

    /// Whether cells were changed to find it.
    pub(super) fn is_measured(&self) -> bool {
        self.way.column().is_some_and(|column| column.info.id.starts_with(MEASURED) || column.info.id == ALPHA)
    }
}

impl<'a> Way<'a> {
    /// The column that says what an error costs.
    fn column(&self) -> Option<&'a Column> {
        match self {
            Self::Nothing => None,
            Self::Direct(column) | Self::Error(column) => Some(column),
            Self::Scaled { column, .. } | Self::Weighed { column, .. } => Some(column),
        }
    }
}

fn named(column: &Column) -> String {
    let id = column.info.id.as_ref();
    match id {
        id if id.starts_with(MEASURED) => "measured".to_owned(),
        id if id.starts_with(PREDICTED) => "predicted".to_owned(),
        id => format!("{id}: a proxy"),
    }
}
