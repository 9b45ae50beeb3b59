//! Normalisations: ways to make the scores of one metric comparable, one file and one registry line each.
//!
//! Each works on the places of a [`View`] (layers x 7, experts averaged) and says what it does in words, because the
//! picture has to. None of them guesses: a place whose denominator is zero or unknown gets a reason, and a metric that
//! a normalisation does not fit is refused with one.

use std::borrow::Cow;

use crate::{Additivity, Map, MetricInfo, Place, View};

/// One way of normalising.
pub struct Normalisation {
    /// Identifier, kebab-case.
    pub id: &'static str,
    /// What the numbers are after it, in words for the picture.
    pub title: fn(&MetricInfo) -> &'static str,
    /// Its own source file; the `//!` header is the manual.
    pub file: &'static str,
    /// Formula and use, one sentence.
    pub summary: &'static str,
    /// Unit of the numbers after it.
    pub unit: fn(&MetricInfo) -> Cow<'static, str>,
    /// The metric whose scores are shown when the user asks for this one; its own for all but `null`.
    pub(crate) source: fn(&MetricInfo) -> Cow<'static, str>,
    /// Natural middle of the numbers, from the view as measured.
    pub(crate) middle: fn(&View) -> Option<f64>,
    /// Whether it makes numbers of one column comparable among themselves only.
    pub within_column: fn(&MetricInfo) -> bool,
    /// Why it does not fit a metric of a map, and what to do instead; `None` if it fits.
    pub refuse: fn(&MetricInfo, &Map) -> Option<String>,
    /// What a reader has to keep in mind when it is used on this metric.
    pub note: fn(&MetricInfo) -> Option<&'static str>,
    /// From the places as measured to the places on show.
    pub(crate) apply: fn(&View) -> Vec<Place>,
}

/// Declares the files and the ordered registry at once: a new normalisation is its file and one line here.
macro_rules! registry {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every normalisation, in the order of help and documents.
        pub static NORMALISATIONS: &[&Normalisation] = &[$(&$module::NORMALISATION,)*];
    };
}

registry! {
    raw,
    per_parameter,
    layer_share,
    model_share,
    column_minmax,
    column_z,
    rank,
    log,
    null,
}

impl Normalisation {
    /// The normalisation called `id`.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        NORMALISATIONS.iter().copied().find(|n| n.id == id)
    }

    /// What a metric is shown under unless the user says otherwise: its own numbers if they may be compared over the
    /// map or have a natural middle (which ranks would hide), else the percentile rank within each column (which no outlier
    /// can flatten).
    pub fn default_for(info: &MetricInfo) -> &'static Self {
        if info.scope.is_by_column() && info.middle.is_none() { &rank::NORMALISATION } else { &raw::NORMALISATION }
    }
}

/// Why a map has no such view.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The map has no such metric.
    #[error("the map has no metric {metric:?}: it holds {known}")]
    UnknownMetric {
        /// What was asked for.
        metric: String,
        /// What there is, for the message.
        known: String,
    },
    /// The normalisation does not fit the metric.
    #[error("{normalisation} does not fit {metric}: {reason}")]
    Refused {
        /// Id of the normalisation.
        normalisation: &'static str,
        /// Id of the metric.
        metric: String,
        /// Why, and what to do instead.
        reason: String,
    },
}

impl Map {
    /// Metric `metric` under `normalisation`, ready to draw.
    ///
    /// # Errors
    /// [`ViewError::UnknownMetric`] if the map does not hold the metric, [`ViewError::Refused`] if the normalisation
    /// does not fit it.
    pub fn view(&self, metric: &str, normalisation: &'static Normalisation) -> Result<View, ViewError> {
        let unknown = || ViewError::UnknownMetric {
            metric: metric.to_owned(),
            known: self.columns.iter().map(|c| c.info.id.as_ref()).collect::<Vec<_>>().join(" "),
        };
        let asked = self.column(metric).ok_or_else(unknown)?;
        if let Some(reason) = (normalisation.refuse)(&asked.info, self) {
            return Err(ViewError::Refused { normalisation: normalisation.id, metric: metric.to_owned(), reason });
        }
        let column = self.column(&(normalisation.source)(&asked.info)).ok_or_else(unknown)?;
        let mut view = View {
            info: column.info.clone(),
            layers: self.grid.layers,
            normalisation: normalisation.id,
            normalisation_title: (normalisation.title)(&column.info),
            unit: (normalisation.unit)(&column.info),
            middle: column.info.middle,
            across_columns: !column.info.scope.is_by_column() && !(normalisation.within_column)(&column.info),
            notes: (normalisation.note)(&column.info).into_iter().map(str::to_owned).collect(),
            places: self.aggregate(column),
        };
        view.notes.extend(averaging_note(&view));
        view.notes.extend(column.info.scope.shared().map(str::to_owned));
        view.notes.extend(column.measurement.iter().flat_map(crate::Measurement::notes));
        if column.info.scope.is_by_column() && !(normalisation.within_column)(&column.info) {
            view.notes.push("numbers of different columns cannot be compared: this metric depends on the shape".into());
        }
        view.middle = (normalisation.middle)(&view);
        view.places = (normalisation.apply)(&view);
        Ok(view)
    }

    /// Metric `metric` under its default normalisation.
    ///
    /// # Errors
    /// [`ViewError::UnknownMetric`] if the map does not hold the metric.
    pub fn default_view(&self, metric: &str) -> Result<View, ViewError> {
        let normalisation = self.column(metric).map_or(&raw::NORMALISATION, |c| Normalisation::default_for(&c.info));
        self.view(metric, normalisation)
    }
}

fn averaging_note(view: &View) -> Option<String> {
    let most = view.places.iter().filter_map(Place::reading).map(|r| r.experts).max().unwrap_or(0);
    (most > 1).then(|| format!("each place of a mixture shows the mean over its experts (up to {most})"))
}

// What most normalisations answer.

fn own_scores(info: &MetricInfo) -> Cow<'static, str> {
    info.id.clone()
}

fn own_unit(info: &MetricInfo) -> Cow<'static, str> {
    info.unit.clone()
}

fn no_middle(_: &View) -> Option<f64> {
    None
}

fn never_refused(_: &MetricInfo, _: &Map) -> Option<String> {
    None
}

fn no_note(_: &MetricInfo) -> Option<&'static str> {
    None
}

fn over_the_map(_: &MetricInfo) -> bool {
    false
}

fn always_within_column(_: &MetricInfo) -> bool {
    true
}

/// Shares and logarithms need scores that cannot be negative.
fn refuse_signed(info: &MetricInfo, _: &Map) -> Option<String> {
    (info.additivity == Additivity::Signed).then(|| "its scores can be negative; use raw, column-z or rank".to_owned())
}

/// A sum of averages or ratios is no total.
fn refuse_unless_additive(info: &MetricInfo, map: &Map) -> Option<String> {
    refuse_signed(info, map).or_else(|| {
        (info.additivity != Additivity::Additive)
            .then(|| "it is an average or a ratio, and a sum of those is no total; use raw or rank".to_owned())
    })
}

/// Applies `change` to each column's numbers; the reason it returns instead goes to every place of that column.
fn by_column(view: &View, change: impl Fn(&[f64]) -> Result<Vec<f64>, String>) -> Vec<Place> {
    let width = crate::Component::ALL.len();
    let mut places = view.places.clone();
    for column in 0..width {
        let at: Vec<usize> =
            (column..places.len()).step_by(width).filter(|i| view.places[*i].value().is_some()).collect();
        let values: Vec<f64> = at.iter().filter_map(|i| view.places[*i].value()).collect();
        replace(&mut places, &at, change(&values));
    }
    places
}

/// Puts new numbers, or one reason, at the indices `at`.
fn replace(places: &mut [Place], at: &[usize], numbers: Result<Vec<f64>, String>) {
    match numbers {
        Ok(numbers) => at.iter().zip(numbers).for_each(|(i, value)| places[*i] = places[*i].with_value(value)),
        Err(reason) => {
            at.iter().for_each(|i| places[*i] = Place::missing(crate::Absence::Undefined, reason.clone()));
        }
    }
}

/// Each of `values` over their sum; the reason if that is no share.
fn shares(values: &[f64], whole: &str) -> Result<Vec<f64>, String> {
    if values.iter().any(|v| *v < 0.0) {
        return Err(format!("a share of {whole} needs scores that are not negative"));
    }
    // Scaled by the largest so that the sum cannot overflow.
    let largest = values.iter().fold(0.0f64, |a, b| a.max(*b));
    if largest == 0.0 {
        return Err(format!("{whole} sums to zero"));
    }
    let sum: f64 = values.iter().map(|v| v / largest).sum();
    Ok(values.iter().map(|v| v / largest / sum).collect())
}

/// The reason why the total over `places` is not known, if a cell among them has no score.
fn unknown_total(places: &[Place], whole: &str) -> Option<String> {
    places.iter().find_map(|place| match place {
        Place::Missing { absence: absence @ (crate::Absence::Undefined | crate::Absence::NotMeasured), .. } => {
            Some(format!("{whole} is not known: a cell of it is {absence}"))
        }
        _ => None,
    })
}
