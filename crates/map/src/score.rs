use serde::{Deserialize, Serialize};

/// Whether a cell has a value, and if not, in what way it has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A finite value.
    Ok,
    /// The metric has no finite value on this cell (a division by zero noise, say).
    Undefined,
    /// The scan ended before it got here.
    NotMeasured,
    /// The metric does not apply to cells of this kind.
    NotApplicable,
}

/// What a metric says of one cell: a finite number, or a status with a reason. Never NaN, never a 0 for "missing".
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Score {
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// 95 % interval, low and high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interval: Option<(f64, f64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Score {
    /// A value; a number that is not finite becomes [`Status::Undefined`] with the reason "not finite".
    pub fn from_value(value: f64) -> Self {
        if value.is_finite() {
            Self { status: Status::Ok, value: Some(value), interval: None, reason: None }
        } else {
            Self::missing(Status::Undefined, format!("not finite ({value})"))
        }
    }

    /// The same score with a 95 % interval; an interval that is not finite or has its ends swapped is dropped.
    #[must_use]
    pub fn with_interval(mut self, low: f64, high: f64) -> Self {
        let sound = self.value.is_some() && low.is_finite() && high.is_finite() && low <= high;
        self.interval = sound.then_some((low, high));
        self
    }

    /// The same score with a reason to read it with care: it is known that the metric's assumptions do not hold here. A score
    /// without a value keeps its own reason.
    #[must_use]
    pub fn with_caveat(mut self, caveat: impl Into<String>) -> Self {
        if self.value.is_some() {
            self.reason = Some(caveat.into()).filter(|caveat| !caveat.is_empty());
        }
        self
    }

    /// No value: `status` says in what way and `reason` why.
    pub fn missing(status: Status, reason: impl Into<String>) -> Self {
        debug_assert!(status != Status::Ok, "a missing score needs a status that says so");
        Self { status, value: None, interval: None, reason: Some(reason.into()) }
    }

    /// The value, if there is one; always finite.
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// The 95 % interval, if one was measured.
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.interval
    }

    /// Whether there is a value.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Why there is none, or why the one there is is to be read with care.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}
